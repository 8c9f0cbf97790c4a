/** Where JSON values begin in a text, one after the other, and the first place where it is no JSON: in the last one. */
export interface JsonReading {
  readonly starts: readonly number[];
  readonly mistake?: JsonMistake;
}

export interface JsonMistake {
  readonly offset: number;
  /** For instance `expected , or }, found "port"`. */
  readonly message: string;
}

/** Begins as JSON does: `{"`, `[{`, `{}`. What Helm would replace, `{{`, does not. */
export function looksLikeJson(text: string): boolean {
  return /^\s*(?:\{\s*["}]|\[\s*[{"[\]])/.test(text);
}

/** Any number of values, as `jq` prints them. Knows more places than JSON.parse tells. */
export function readJson(text: string): JsonReading {
  const starts: number[] = [];
  for (let at = blanksAt(text, 0); at < text.length; at = blanksAt(text, at)) {
    starts.push(at);
    const end = valueEnd(text, at);
    if (typeof end !== 'number') return { starts, mistake: end };
    at = end;
  }
  return { starts };
}

const token = /[{}[\],:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const blanks = /[ \t\n\r]*/y;

/** What may stand at a place, by what it is: before a value, a key, and so on. */
const expectations = {
  value: 'a value',
  'value or ]': 'a value or ]',
  key: 'a name in double quotes',
  'key or }': 'a name in double quotes or }',
  colon: ':',
  'next of list': ', or ]',
  'next of object': ', or }',
} as const;
type Expectation = keyof typeof expectations;

/** The offset behind the value, or what is wrong in it. */
function valueEnd(text: string, start: number): number | JsonMistake {
  const open: ('list' | 'object')[] = [];
  let expected: Expectation = 'value';
  for (let at = start; ; at = blanksAt(text, at)) {
    const found = tokenAt(text, at);
    const next: Expectation | 'end' | undefined = found === undefined ? undefined : nextAfter(found, expected, open);
    if (found === undefined || next === undefined) return mistakeAt(text, at, expected);
    at += found.length;
    if (next === 'end') return at;
    expected = next;
  }
}

function tokenAt(text: string, at: number): string | undefined {
  if (text[at] === '"') return textAt(text, at);
  token.lastIndex = at;
  return token.exec(text)?.[0];
}

const escape = /["\\/bfnrt]|u[\dA-Fa-f]{4}/y;

/** By hand: a text of megabytes overflows the stack of a regular expression. */
function textAt(text: string, start: number): string | undefined {
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (character === '"') return text.slice(start, at + 1);
    if (character < ' ') return undefined;
    if (character !== '\\') continue;
    escape.lastIndex = at + 1;
    if (!escape.test(text)) return undefined;
    at = escape.lastIndex - 1;
  }
  return undefined;
}

/** What is expected after a token, which opens and closes lists and objects; absent when it may not stand here. */
function nextAfter(found: string, expected: Expectation, open: ('list' | 'object')[]): Expectation | 'end' | undefined {
  const afterValue = () => (open.length === 0 ? 'end' : (`next of ${open.at(-1) ?? 'list'}` as const));
  const close = () => {
    open.pop();
    return afterValue();
  };
  switch (expected) {
    case 'value':
    case 'value or ]':
      if (found === '{' || found === '[') {
        open.push(found === '{' ? 'object' : 'list');
        return found === '{' ? 'key or }' : 'value or ]';
      }
      if (found === ']' && expected === 'value or ]') return close();
      return /^[}\],:]/.test(found) ? undefined : afterValue();
    case 'key':
    case 'key or }':
      if (found === '}' && expected === 'key or }') return close();
      return found.startsWith('"') ? 'colon' : undefined;
    case 'colon':
      return found === ':' ? 'value' : undefined;
    case 'next of list':
      return found === ',' ? 'value' : found === ']' ? close() : undefined;
    case 'next of object':
      return found === ',' ? 'key' : found === '}' ? close() : undefined;
  }
}

function mistakeAt(text: string, offset: number, expected: Expectation): JsonMistake {
  if (offset === text.length)
    return { offset: text.trimEnd().length, message: `expected ${expectations[expected]}, found the end` };
  if (text[offset] === '"' && textAt(text, offset) === undefined)
    return {
      offset,
      message: 'a text in double quotes that does not end, or holds a line end or an unknown \\ escape',
    };
  const found = /^(?:"[^"\n]{0,30}"?|[\w.+-]{1,30}|[^\n])/u.exec(text.slice(offset, offset + 40))?.[0];
  return { offset, message: `expected ${expectations[expected]}, found ${found ?? 'an unknown character'}` };
}

function blanksAt(text: string, at: number): number {
  blanks.lastIndex = at;
  blanks.exec(text);
  return blanks.lastIndex;
}
