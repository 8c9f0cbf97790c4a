import { parseRange } from '../ruleset/walk-address.ts';
import type { AddressRange } from '../ruleset/walk-address.ts';

export interface PortRange {
  readonly low: number;
  readonly high: number;
}

/** What a rule demands of a packet. `not` turns it round. */
export type Match = (
  | { readonly kind: 'source' | 'destination' | 'original-destination'; readonly range: AddressRange }
  | { readonly kind: 'in-interface' | 'out-interface'; readonly name: string }
  | { readonly kind: 'protocol'; readonly protocol: string }
  | { readonly kind: 'source-port' | 'destination-port' | 'either-port'; readonly ports: readonly PortRange[] }
  | { readonly kind: 'mark' | 'connection-mark'; readonly value: number; readonly mask: number }
  | { readonly kind: 'state'; readonly states: readonly string[] }
  | { readonly kind: 'source-type' | 'destination-type'; readonly types: readonly string[] }
  | { readonly kind: 'random'; readonly probability: number }
  | { readonly kind: 'remember' | 'remembered' }
  | { readonly kind: 'tcp-flags'; readonly mask: readonly string[]; readonly set: readonly string[] }
  | { readonly kind: 'always' }
  | { readonly kind: 'unknown'; readonly text: string }
) & { readonly not: boolean };

type Reader = (value: string, not: boolean, second: string) => Match | undefined;

/** Extensions whose options are read below; to load one of them demands nothing yet. */
const understood = new Set(
  'addrtype comment connmark conntrack icmp icmp6 iprange mark multiport nfacct pkttype recent sctp state statistic tcp udp'.split(
    ' ',
  ),
);

/** Options that say nothing about whether the first packet of a new client matches, and how many words follow. */
const silent = new Map<string, number>([
  ['--hitcount', 1],
  ['--mask', 1],
  ['--mode', 1],
  ['--name', 1],
  ['--nfacct-name', 1],
  ['--packet', 1],
  ['--rdest', 0],
  ['--reap', 0],
  ['--rsource', 0],
  ['--rttl', 0],
  ['--seconds', 1],
]);

const readers = new Map<string, Reader>([
  ['-s', (value, not) => addressMatch('source', value, not)],
  ['-d', (value, not) => addressMatch('destination', value, not)],
  ['--src-range', (value, not) => addressMatch('source', value, not)],
  ['--dst-range', (value, not) => addressMatch('destination', value, not)],
  ['--ctorigdst', (value, not) => addressMatch('original-destination', value, not)],
  ['-i', (name, not) => ({ kind: 'in-interface', name, not })],
  ['-o', (name, not) => ({ kind: 'out-interface', name, not })],
  ['-p', (protocol, not) => ({ kind: 'protocol', protocol, not })],
  ['--sport', (value, not) => portMatch('source-port', value, not)],
  ['--dport', (value, not) => portMatch('destination-port', value, not)],
  ['--sports', (value, not) => portMatch('source-port', value, not)],
  ['--dports', (value, not) => portMatch('destination-port', value, not)],
  ['--ports', (value, not) => portMatch('either-port', value, not)],
  ['--ctstate', (value, not) => ({ kind: 'state', states: value.split(','), not })],
  ['--state', (value, not) => ({ kind: 'state', states: value.split(','), not })],
  ['--ctdir', (value, not) => ({ kind: 'always', not: not !== (value !== 'ORIGINAL') })],
  ['--src-type', (value, not) => typeMatch('source-type', value, not)],
  ['--dst-type', (value, not) => typeMatch('destination-type', value, not)],
  ['--probability', (value, not) => ({ kind: 'random', probability: Number(value), not })],
  ['--every', (value, not) => ({ kind: 'random', probability: 1 / Number(value), not })],
  ['--pkt-type', (value, not) => ({ kind: 'always', not: not !== (value !== 'unicast') })],
  // The protocols walked here are never ICMP.
  ['--icmp-type', () => ({ kind: 'always', not: true })],
  ['--icmpv6-type', () => ({ kind: 'always', not: true })],
  ['--tcp-flags', (mask, not, set) => ({ kind: 'tcp-flags', mask: mask.split(','), set: set.split(','), not })],
]);

/** Options without a value. */
const flags = new Map<string, (not: boolean) => Match>([
  ['-f', (not) => ({ kind: 'always', not: !not })],
  ['--set', (not) => ({ kind: 'remember', not })],
  ['--rcheck', (not) => ({ kind: 'remembered', not })],
  ['--update', (not) => ({ kind: 'remembered', not })],
  ['--remove', (not) => ({ kind: 'remembered', not })],
  ['--syn', (not) => ({ kind: 'tcp-flags', mask: ['SYN', 'RST', 'ACK', 'FIN'], set: ['SYN'], not })],
]);

/** Reads the words of a rule before its target. */
export function readMatches(words: readonly string[]): { matches: Match[]; comment: string } {
  const matches: Match[] = [];
  const comments: string[] = [];
  let extension = '';
  let not = false;
  for (let at = 0; at < words.length;) {
    const word = words[at] ?? '';
    const value = words[at + 1] ?? '';
    let used = 2;
    if (word === '!') used = 1;
    else if (word === '-m') {
      extension = value;
      if (!understood.has(value)) matches.push({ kind: 'unknown', text: `-m ${value}`, not: false });
    } else if (word === '--comment') comments.push(value);
    else if (silent.has(word) && understood.has(extension)) used = 1 + (silent.get(word) ?? 0);
    else {
      const read = readOption(words.slice(at), extension, not);
      matches.push(read.match);
      used = read.used;
    }
    not = word === '!';
    at += used;
  }
  return { matches: joinUnknown(matches), comment: comments.join('; ') };
}

function readOption(words: readonly string[], extension: string, not: boolean): { match: Match; used: number } {
  const [option = '', value = '', second = ''] = words;
  const flag = flags.get(option);
  const isOurs = !option.startsWith('--') || understood.has(extension);
  if (flag !== undefined && isOurs) return { match: flag(not), used: 1 };
  const match =
    option === '--mark'
      ? markMatch(extension, value, not)
      : isOurs
        ? readers.get(option)?.(value, not, second)
        : undefined;
  if (match !== undefined) return { match, used: option === '--tcp-flags' ? 3 : 2 };
  const end = words.findIndex((word, index) => index > 0 && (word === '!' || word.startsWith('-')));
  const own = words.slice(0, end < 0 ? undefined : end);
  return { match: { kind: 'unknown', text: `${not ? '! ' : ''}${own.join(' ')}`, not: false }, used: own.length };
}

/** An extension that is not understood and its options are one unknown. */
function joinUnknown(matches: readonly Match[]): Match[] {
  const unknown = matches.filter((match) => match.kind === 'unknown');
  if (unknown.length === 0) return [...matches];
  const text = unknown.map((match) => match.text).join(' ');
  return [...matches.filter((match) => match.kind !== 'unknown'), { kind: 'unknown', text, not: false }];
}

function addressMatch(
  kind: 'source' | 'destination' | 'original-destination',
  value: string,
  not: boolean,
): Match | undefined {
  const range = parseRange(value);
  return range === undefined ? undefined : { kind, range, not };
}

function portMatch(
  kind: 'source-port' | 'destination-port' | 'either-port',
  value: string,
  not: boolean,
): Match | undefined {
  const ports = value.split(',').map((part): PortRange => {
    const [low = '', high = low] = part.split(':');
    return { low: low === '' ? 0 : Number(low), high: high === '' ? 65535 : Number(high) };
  });
  const isRead = ports.every(({ low, high }) => Number.isInteger(low) && Number.isInteger(high));
  return isRead ? { kind, ports, not } : undefined;
}

function typeMatch(kind: 'source-type' | 'destination-type', value: string, not: boolean): Match | undefined {
  const types = value.split(',');
  const isRead = types.every((type) => ['LOCAL', 'UNICAST', 'BROADCAST', 'MULTICAST'].includes(type));
  return isRead ? { kind, types, not } : undefined;
}

function markMatch(extension: string, text: string, not: boolean): Match | undefined {
  if (extension !== 'mark' && extension !== 'connmark') return undefined;
  const [value = Number.NaN, mask = 0xffffffff] = text.split('/').map(Number);
  if (!Number.isInteger(value) || !Number.isInteger(mask)) return undefined;
  return { kind: extension === 'mark' ? 'mark' : 'connection-mark', value, mask, not };
}
