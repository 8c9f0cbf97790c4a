import type { Then } from '../ruleset/walk-program.ts';
import { readElements, readVerdict } from './rule-elements.ts';
import type { Elements } from './rule-elements.ts';
import { isProtocolPart, readCollection, readExpression } from './rule-expression.ts';
import type { Collection, Expression } from './rule-expression.ts';
import { Words } from './rule-reader.ts';

export type Comparison = '==' | '!=' | '<' | '>' | '<=' | '>=';

/** One step of a rule: it lets the packet go on to the next one, or ends the rule. */
export type Statement =
  | {
      readonly kind: 'in';
      readonly left: Expression;
      readonly not: boolean;
      /** Flags must be these and no others. Written without an operator, one of them is enough. */
      readonly isExact: boolean;
      readonly collection: Collection;
    }
  | { readonly kind: 'compare'; readonly left: Expression; readonly operator: Comparison; readonly right: Expression }
  | { readonly kind: 'verdict'; readonly then: Then }
  | { readonly kind: 'verdict-map'; readonly key: Expression; readonly map: Collection }
  | { readonly kind: 'mark' | 'connection-mark'; readonly value: Expression }
  | { readonly kind: 'dnat' | 'snat'; readonly to: Expression; readonly port?: number }
  | { readonly kind: 'masquerade' }
  | { readonly kind: 'redirect'; readonly port?: number }
  | { readonly kind: 'remember'; readonly set: string }
  | { readonly kind: 'unknown'; readonly text: string };

/** One rule as `nft list` prints it, understood as far as possible. */
export interface Rule {
  readonly line: string;
  readonly statements: readonly Statement[];
  readonly comment: string;
}

/** Reads a rule. What cannot be understood becomes one `unknown`, and reading goes on at the rule's verdict. */
export function parseRule(line: string): Rule {
  const words = new Words(line);
  const statements: Statement[] = [];
  let comment = '';
  while (!words.isAtEnd) {
    if (words.accepts('comment')) comment = words.next().slice(1, -1);
    else if (!skipHarmless(words)) {
      const before = words.rest();
      statements.push(readStatement(words) ?? readUnknown(words, before));
    }
  }
  return { line, statements, comment };
}

/** Statements that change nothing about where a packet goes. */
function skipHarmless(words: Words): boolean {
  if (words.accepts('counter')) {
    if (words.accepts('name')) words.next();
    else if (words.accepts('packets')) skip(words, 'count bytes count');
    return true;
  }
  if (words.accepts('meta', 'nftrace', 'set')) {
    skip(words, 'value');
    return true;
  }
  if (!words.accepts('log')) return false;
  const options = new Set(['prefix', 'level', 'group', 'snaplen', 'queue-threshold', 'flags']);
  while (options.has(words.peek())) skip(words, 'option value');
  return true;
}

/** Passes over as many words as the shape has. */
function skip(words: Words, shape: string): void {
  for (let left = shape.split(' ').length; left > 0; left--) words.next();
}

function readStatement(words: Words): Statement | undefined {
  const then = readVerdict(words);
  if (then !== undefined) return { kind: 'verdict', then };
  if (words.accepts('reject')) {
    if (words.accepts('with')) words.skipTo((word) => word === 'comment');
    return { kind: 'verdict', then: { kind: 'reject' } };
  }
  return readTranslation(words) ?? readMarking(words) ?? readRemembering(words) ?? readMatch(words);
}

function readTranslation(words: Words): Statement | undefined {
  const kind = words.peek();
  if (kind === 'masquerade' || kind === 'redirect') {
    words.next();
    const port = words.accepts('to') ? Number(words.next().replace(/^:/, '').split('-')[0]) : undefined;
    skipTranslationFlags(words);
    if (kind === 'masquerade') return { kind };
    return { kind, ...(port === undefined ? {} : { port }) };
  }
  if (kind !== 'dnat' && kind !== 'snat') return undefined;
  words.next();
  if (words.accepts('ip') || words.accepts('ip6')) words.accepts('addr', '.', 'port');
  if (!words.accepts('to')) return undefined;
  const fixed = /^(?:\[([^\]]+)\]|([\d.]+)):(\d+)$/.exec(words.peek());
  if (fixed !== null) words.next();
  const to: Expression | undefined =
    fixed === null ? readExpression(words) : { kind: 'constant', text: fixed[1] ?? fixed[2] ?? '' };
  const port = fixed === null && words.accepts(':') ? words.next() : fixed?.[3];
  skipTranslationFlags(words);
  return to === undefined ? undefined : { kind, to, ...(port === undefined ? {} : { port: Number(port) }) };
}

function skipTranslationFlags(words: Words): void {
  const flags = new Set(['random', 'fully-random', 'persistent', ',']);
  words.skipTo((word) => !flags.has(word));
}

function readMarking(words: Words): Statement | undefined {
  const isMark = words.accepts('meta', 'mark', 'set') || words.accepts('mark', 'set');
  if (!isMark && !words.accepts('ct', 'mark', 'set')) return undefined;
  const value = readExpression(words);
  return value === undefined ? undefined : { kind: isMark ? 'mark' : 'connection-mark', value };
}

/** `update @set { ip saddr }`: with more in the braces (a limit, a quota) it may end the rule. */
function readRemembering(words: Words): Statement | undefined {
  if (!['add', 'update'].includes(words.peek()) || !words.peek(1).startsWith('@')) return undefined;
  words.next();
  const set = words.next().slice(1);
  if (!words.accepts('{') || readExpression(words) === undefined) return undefined;
  if (words.accepts('timeout')) words.next();
  return words.accepts('}') ? { kind: 'remember', set } : undefined;
}

const comparisons = new Map<string, Comparison>(
  (['==', '!=', '<', '>', '<=', '>='] as const).map((operator) => [operator, operator]),
);

function readMatch(words: Words): Statement | undefined {
  const left = readExpression(words);
  if (left === undefined) return undefined;
  if (words.accepts('vmap')) {
    const map = readCollection(words, left);
    return map === undefined ? undefined : { kind: 'verdict-map', key: left, map };
  }
  const hasNone = words.accepts('!');
  const operator = comparisons.get(words.peek());
  if (operator !== undefined) words.next();
  const not = hasNone || operator === '!=';
  const collection = readCollection(words, left);
  if (collection !== undefined) return { kind: 'in', left, not, isExact: true, collection };
  if (operator !== undefined && operator !== '==' && operator !== '!=') {
    const right = readExpression(words);
    return right === undefined ? undefined : { kind: 'compare', left, operator, right };
  }
  const elements = readAlternatives(words, left);
  return { kind: 'in', left, not, isExact: operator !== undefined, collection: { kind: 'anonymous', elements } };
}

/** A value, a range, or several with commas between: `new`, `10.0.0.0/8`, `established,related`. */
function readAlternatives(words: Words, left: Expression): Elements {
  const parts: string[] = [];
  do {
    parts.push(words.next());
    while (words.accepts('.')) parts.push('.', words.next());
  } while (words.accepts(',') && parts.push(',') > 0);
  return readElements(new Words(parts.join(' ')), (part) => isProtocolPart(left, part));
}

const verdictWords = new Set(['accept', 'drop', 'reject', 'return', 'jump', 'goto', 'comment']);

function readUnknown(words: Words, before: string): Statement {
  const passed = before.length - words.rest().length;
  const more = words.skipTo((word) => verdictWords.has(word));
  // A verdict word that could not be read is passed over, or reading would not end.
  if (passed === 0 && more === '') words.next();
  return { kind: 'unknown', text: before.slice(0, before.length - words.rest().length).trim() };
}
