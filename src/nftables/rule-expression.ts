import { canonical, readElements } from './rule-elements.ts';
import type { Elements } from './rule-elements.ts';
import type { Words } from './rule-reader.ts';

/** A property of the packet. */
export type Field =
  | 'source'
  | 'destination'
  | 'original-destination'
  | 'source-port'
  | 'destination-port'
  | 'original-port'
  | 'protocol'
  | 'family'
  | 'mark'
  | 'connection-mark'
  | 'state'
  | 'status'
  | 'source-type'
  | 'destination-type'
  | 'in-interface'
  | 'out-interface'
  | 'direction'
  | 'packet-type';

/** Something with a value: what is compared, looked up or put into a packet. */
export type Expression =
  | { readonly kind: 'field'; readonly field: Field; readonly only?: 'ip' | 'ip6' | 'tcp' | 'udp' | 'sctp' }
  | { readonly kind: 'constant'; readonly text: string }
  | { readonly kind: 'concatenation'; readonly parts: readonly Expression[] }
  | {
      readonly kind: 'binary';
      readonly operator: '&' | '|' | '^';
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: 'random'; readonly modulus: number; readonly offset: number }
  | { readonly kind: 'mapped'; readonly key: Expression; readonly map: Collection };

/** A set or map: one of the table by its name, or written into the rule. */
export type Collection =
  { readonly kind: 'named'; readonly name: string } | { readonly kind: 'anonymous'; readonly elements: Elements };

const fields = new Map<string, readonly [Field, ('ip' | 'ip6' | 'tcp' | 'udp' | 'sctp')?]>([
  ['ip saddr', ['source', 'ip']],
  ['ip daddr', ['destination', 'ip']],
  ['ip protocol', ['protocol', 'ip']],
  ['ip6 saddr', ['source', 'ip6']],
  ['ip6 daddr', ['destination', 'ip6']],
  ['ip6 nexthdr', ['protocol', 'ip6']],
  ['th sport', ['source-port']],
  ['th dport', ['destination-port']],
  ['tcp sport', ['source-port', 'tcp']],
  ['tcp dport', ['destination-port', 'tcp']],
  ['udp sport', ['source-port', 'udp']],
  ['udp dport', ['destination-port', 'udp']],
  ['sctp sport', ['source-port', 'sctp']],
  ['sctp dport', ['destination-port', 'sctp']],
  ['meta l4proto', ['protocol']],
  ['meta nfproto', ['family']],
  ['meta mark', ['mark']],
  ['meta iifname', ['in-interface']],
  ['meta oifname', ['out-interface']],
  ['meta iif', ['in-interface']],
  ['meta oif', ['out-interface']],
  ['meta pkttype', ['packet-type']],
  ['ct state', ['state']],
  ['ct status', ['status']],
  ['ct mark', ['connection-mark']],
  ['ct direction', ['direction']],
  ['ct original ip daddr', ['original-destination', 'ip']],
  ['ct original ip6 daddr', ['original-destination', 'ip6']],
  ['ct original proto-dst', ['original-port']],
  ['fib saddr type', ['source-type']],
  ['fib daddr type', ['destination-type']],
  ['fib saddr . iif type', ['source-type']],
  ['fib daddr . iif type', ['destination-type']],
  ['mark', ['mark']],
  ['iifname', ['in-interface']],
  ['oifname', ['out-interface']],
  ['iif', ['in-interface']],
  ['oif', ['out-interface']],
]);
const longestField = 5;

const operators = new Map<string, '&' | '|' | '^'>([
  ['&', '&'],
  ['|', '|'],
  ['^', '^'],
  ['and', '&'],
  ['or', '|'],
  ['xor', '^'],
]);

/** Reads an expression; `undefined` when its first words are not understood. */
export function readExpression(words: Words): Expression | undefined {
  const key = readOperations(words);
  if (key === undefined || !words.accepts('map')) return key;
  const map = readCollection(words, key);
  return map === undefined ? undefined : { kind: 'mapped', key, map };
}

function readOperations(words: Words): Expression | undefined {
  let left = readConcatenation(words);
  for (let operator = operators.get(words.peek()); operator !== undefined; operator = operators.get(words.peek())) {
    words.next();
    const right = readConcatenation(words) ?? readName(words);
    if (left === undefined || right === undefined) return undefined;
    left = { kind: 'binary', operator, left, right };
  }
  return left;
}

function readConcatenation(words: Words): Expression | undefined {
  const first = readPrimary(words);
  if (first === undefined || words.peek() !== '.') return first;
  const parts = [first];
  while (words.accepts('.')) {
    const part = readPrimary(words);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return { kind: 'concatenation', parts };
}

function readPrimary(words: Words): Expression | undefined {
  if (words.accepts('(')) {
    const inner = readExpression(words);
    return words.accepts(')') ? inner : undefined;
  }
  if (words.accepts('numgen', 'random', 'mod') || words.accepts('numgen', 'inc', 'mod')) {
    const modulus = Number(words.next());
    return { kind: 'random', modulus, offset: words.accepts('offset') ? Number(words.next()) : 0 };
  }
  for (let length = longestField; length > 0; length--) {
    const name = Array.from({ length }, (_, index) => words.peek(index));
    const field = fields.get(name.join(' '));
    if (field === undefined) continue;
    words.accepts(...name);
    return { kind: 'field', field: field[0], ...(field[1] === undefined ? {} : { only: field[1] }) };
  }
  if (!isConstant(words.peek())) return undefined;
  return { kind: 'constant', text: canonical(words.next()) };
}

/** After an operator a bare word is a name: `ct status & dnat`. */
function readName(words: Words): Expression | undefined {
  return /^[a-z]/.test(words.peek()) ? { kind: 'constant', text: words.next() } : undefined;
}

/** Numbers, addresses and quoted names; a bare word may be a keyword not known here. */
function isConstant(word: string): boolean {
  return /^["\d]/.test(word) || word.includes(':');
}

/** Reads `@name` or `{ elements }`; the key tells which parts of elements are protocols. */
export function readCollection(words: Words, key: Expression): Collection | undefined {
  if (words.peek().startsWith('@')) return { kind: 'named', name: words.next().slice(1) };
  if (!words.accepts('{')) return undefined;
  const elements = readElements(words, (part) => isProtocolPart(key, part));
  return words.accepts('}') ? { kind: 'anonymous', elements } : undefined;
}

/** Whether a part of a key is a protocol, which nft prints by name or by number. */
export function isProtocolPart(key: Expression, part: number): boolean {
  const expression = key.kind === 'concatenation' ? key.parts[part] : key;
  return expression?.kind === 'field' && expression.field === 'protocol';
}
