import { parseAddress } from '../ruleset/walk-address.ts';
import type { Address } from '../ruleset/walk-address.ts';

/** What a rule does to a packet that matches. */
export type Target =
  | { readonly kind: 'accept' | 'drop' | 'reject' | 'return' | 'nothing' }
  | { readonly kind: 'masquerade' }
  | { readonly kind: 'chain'; readonly chain: string; readonly isGoto: boolean }
  /** The mark becomes `(mark & ~clear) ^ flip`. */
  | { readonly kind: 'mark' | 'connection-mark'; readonly clear: number; readonly flip: number }
  | { readonly kind: 'save-mark' | 'restore-mark'; readonly packetMask: number; readonly connectionMask: number }
  | { readonly kind: 'dnat'; readonly address: Address; readonly port?: number }
  | { readonly kind: 'redirect'; readonly port?: number }
  | { readonly kind: 'snat'; readonly address: Address }
  /** A target of the kernel whose effect is not known here. */
  | { readonly kind: 'unknown'; readonly text: string };

const plain = new Map<string, Target>([
  ['ACCEPT', { kind: 'accept' }],
  ['DROP', { kind: 'drop' }],
  ['REJECT', { kind: 'reject' }],
  ['RETURN', { kind: 'return' }],
  ['MASQUERADE', { kind: 'masquerade' }],
]);

/** Targets that change nothing about where a packet goes. */
const harmless = new Set('AUDIT CHECKSUM CLASSIFY DSCP LED LOG NFLOG SET TCPMSS TEE TOS TRACE TTL ULOG'.split(' '));

/** Reads `-j TARGET options`; without words there is no target. */
export function readTarget(words: readonly string[]): Target {
  const [jump, name] = words;
  if (name === undefined || harmless.has(name)) return { kind: 'nothing' };
  if (jump === '-g') return { kind: 'chain', chain: name, isGoto: true };
  const options = readOptions(words.slice(2));
  return plain.get(name) ?? readMarkTarget(name, options) ?? readNatTarget(name, options) ?? readOther(name, words);
}

/** Every other name is a chain, unless it is all capitals with an option: then it is a target not known here. */
function readOther(name: string, words: readonly string[]): Target {
  const text = words.slice(1).join(' ');
  return words.length > 2 ? { kind: 'unknown', text } : { kind: 'chain', chain: name, isGoto: false };
}

function readOptions(words: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  words.forEach((word, index) => {
    if (word.startsWith('--')) options.set(word, words[index + 1] ?? '');
  });
  return options;
}

function readMarkTarget(name: string, options: ReadonlyMap<string, string>): Target | undefined {
  if (name !== 'MARK' && name !== 'CONNMARK') return undefined;
  const kind = name === 'MARK' ? 'mark' : 'connection-mark';
  for (const [option, text] of options) {
    const [value = 0, mask = 0xffffffff] = text.split('/').map(Number);
    if (option === '--set-xmark') return { kind, clear: mask, flip: value };
    if (option === '--set-mark') return { kind, clear: (mask | value) >>> 0, flip: value };
    if (option === '--or-mark') return { kind, clear: value, flip: value };
    if (option === '--and-mark') return { kind, clear: ~value >>> 0, flip: 0 };
    if (option === '--xor-mark') return { kind, clear: 0, flip: value };
  }
  const packetMask = Number(options.get('--nfmask') ?? 0xffffffff);
  const connectionMask = Number(options.get('--ctmask') ?? 0xffffffff);
  if (options.has('--save-mark')) return { kind: 'save-mark', packetMask, connectionMask };
  if (options.has('--restore-mark')) return { kind: 'restore-mark', packetMask, connectionMask };
  return { kind: 'unknown', text: name };
}

function readNatTarget(name: string, options: ReadonlyMap<string, string>): Target | undefined {
  if (name === 'REDIRECT') {
    const port = options.get('--to-ports');
    return { kind: 'redirect', ...(port === undefined ? {} : { port: Number(port.split('-')[0]) }) };
  }
  const to = options.get(name === 'DNAT' ? '--to-destination' : '--to-source');
  if (to === undefined || (name !== 'DNAT' && name !== 'SNAT')) return undefined;
  const { address, port } = splitAddressPort(to);
  if (address === undefined) return { kind: 'unknown', text: `${name} ${to}` };
  if (name === 'SNAT') return { kind: 'snat', address };
  return { kind: 'dnat', address, ...(port === undefined ? {} : { port }) };
}

/** `A`, `A:P`, `[A]:P`. Ranges of addresses are not read. */
function splitAddressPort(text: string): { address?: Address; port?: number } {
  const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  const address = parseAddress(parts?.[1] ?? parts?.[2] ?? text);
  const port = parts?.[3];
  return { ...(address === undefined ? {} : { address }), ...(port === undefined ? {} : { port: Number(port) }) };
}
