import { contains, parseAddress, parseRange } from '../ruleset/walk-address.ts';
import type { AddressRange } from '../ruleset/walk-address.ts';
import type { Then } from '../ruleset/walk-program.ts';
import { protocolNames } from './names.ts';
import type { Words } from './rule-reader.ts';

/** What an element of a set or map leads to. */
export interface ElementData {
  /** Of a verdict map. */
  readonly verdict?: Then;
  /** Of a map: its data, one string for each part of the concatenation. */
  readonly parts?: readonly string[];
}

/** The elements of a set or map, ready for look-ups by value. */
export interface Elements {
  readonly exact: ReadonlyMap<string, ElementData>;
  readonly ranged: readonly { readonly parts: readonly Part[]; readonly data: ElementData }[];
}

/** One value, or consecutive ones, in one part of a concatenated key. */
type Part =
  | { readonly kind: 'value'; readonly text: string }
  | { readonly kind: 'addresses'; readonly range: AddressRange }
  | { readonly kind: 'numbers'; readonly low: number; readonly high: number }
  | { readonly kind: 'any' };

/**
 * Looks a value up. Both sides are in canonical spelling: addresses as text, numbers in decimal.
 * `undefined`: there is no such element.
 */
export function lookUp(elements: Elements, key: readonly string[]): ElementData | undefined {
  const exact = elements.exact.get(key.join(' . '));
  if (exact !== undefined) return exact;
  return elements.ranged.find(({ parts }) => parts.every((part, index) => isIn(part, key[index] ?? '')))?.data;
}

function isIn(part: Part, text: string): boolean {
  switch (part.kind) {
    case 'value':
      return part.text === text;
    case 'addresses': {
      const address = parseAddress(text);
      return address !== undefined && contains(part.range, address);
    }
    case 'numbers':
      return part.low <= Number(text) && Number(text) <= part.high;
    case 'any':
      return true;
  }
}

/** Reads elements up to a closing brace or the end. `isProtocol` tells which parts of the key are protocols. */
export function readElements(words: Words, isProtocol: (part: number) => boolean): Elements {
  const exact = new Map<string, ElementData>();
  const ranged: { parts: readonly Part[]; data: ElementData }[] = [];
  while (!words.isAtEnd && words.peek() !== '}') {
    const parts = readKey(words, isProtocol);
    words.skipTo((word) => [':', ',', '}'].includes(word));
    const data = words.accepts(':') ? readData(words) : {};
    words.skipTo((word) => word === ',' || word === '}');
    words.accepts(',');
    if (parts.every((part) => part.kind === 'value')) exact.set(parts.map((part) => part.text).join(' . '), data);
    else ranged.push({ parts, data });
  }
  return { exact, ranged };
}

function readKey(words: Words, isProtocol: (part: number) => boolean): readonly Part[] {
  const parts: Part[] = [];
  do {
    const part = readPart(words.next());
    const text = part.kind === 'value' && isProtocol(parts.length) ? protocolNames.get(part.text) : undefined;
    parts.push(text === undefined ? part : { kind: 'value', text });
  } while (words.accepts('.'));
  return parts;
}

function readPart(word: string): Part {
  if (word === '*') return { kind: 'any' };
  const numbers = /^(0x[\da-f]+|\d+)-(0x[\da-f]+|\d+)$/.exec(word);
  if (numbers !== null) return { kind: 'numbers', low: Number(numbers[1]), high: Number(numbers[2]) };
  const leading = /^(0x[\da-f]+|\d+)\/(\d+)$/.exec(word);
  if (leading !== null) return leadingBits(Number(leading[1]), Number(leading[2]));
  const isRange = !word.startsWith('"') && /[-/]/.test(word);
  const range = isRange ? parseRange(word) : undefined;
  return range === undefined ? { kind: 'value', text: canonical(word) } : { kind: 'addresses', range };
}

/** How nft prints the test of leading bits of a mark: of the highest bit, `mark & 0x80000000 != 0`, as `mark != 0x0/1`. */
function leadingBits(value: number, count: number): Part {
  const size = 2 ** (32 - count);
  const low = value - (value % size);
  return { kind: 'numbers', low, high: low + size - 1 };
}

function readData(words: Words): ElementData {
  const verdict = readVerdict(words);
  if (verdict !== undefined) return { verdict };
  const parts: string[] = [];
  do parts.push(canonical(words.next()));
  while (words.accepts('.'));
  return { parts };
}

/** Reads a verdict if one comes next. */
export function readVerdict(words: Words): Then | undefined {
  const kind = words.peek();
  switch (kind) {
    case 'accept':
    case 'drop':
    case 'continue':
    case 'return':
      words.next();
      return { kind };
    case 'jump':
    case 'goto':
      words.next();
      return { kind, chain: words.next() };
    default:
      return undefined;
  }
}

/** A constant as the walker compares it. */
export function canonical(word: string): string {
  if (word.startsWith('"')) return word.slice(1, -1);
  if (/^(?:0x[\da-f]+|\d+)$/.test(word)) return String(Number(word));
  return parseAddress(word)?.text ?? word;
}
