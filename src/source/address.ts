import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { IPFamily } from './objects.ts';

/** An address that could be read. */
export interface Address {
  readonly family: IPFamily;
  /** Canonical: IPv4 dotted without leading zeros, IPv6 lower case with the longest run of zeros compressed. */
  readonly text: string;
}

/** A network that could be read. */
export interface Cidr {
  readonly family: IPFamily;
  /** `network/length`, the network canonical and masked. */
  readonly text: string;
  /** The network's canonical address. */
  readonly address: string;
  readonly prefixLength: number;
}

/** What a special address is for; everything else is `ordinary`. */
export type AddressKind = 'ordinary' | 'unspecified' | 'loopback' | 'link-local' | 'multicast' | 'broadcast';

/**
 * Reads an address as leniently as Kubernetes reads stored objects: IPv4 octets may have leading zeros and are
 * decimal, an IPv4-mapped IPv6 address is IPv4. No zones, brackets, blanks or short forms, and never a name lookup.
 */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { family: 'IPv4', text };
  if (isCanonicalIPv6(text)) return { family: 'IPv6', text };
  const plain = text.replace(leadingZeros, '$1');
  if (isIPv4(plain)) return { family: 'IPv4', text: plain };
  if (!isIPv6(plain) || plain.includes('%')) return undefined;
  const address = ipaddr.IPv6.parse(plain.replace(dottedTail, hexGroups));
  return address.isIPv4MappedAddress()
    ? { family: 'IPv4', text: address.toIPv4Address().toString() }
    : { family: 'IPv6', text: address.toRFC5952String() };
}

/** Reads `address/length` as leniently as `parseAddress`; bits beyond the prefix are cleared. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? '' : text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^[0-9]{1,16}$/.test(digits)) return undefined;
  const isMapped = address.family === 'IPv4' && text.includes(':');
  const length = Number(digits);
  if (length > (address.family === 'IPv4' && !isMapped ? 32 : 128)) return undefined;
  // A prefix that leaves part of ::ffff:0:0/96 open is a network of IPv6, a longer one is of IPv4.
  if (isMapped && length < 96) return masked(`::ffff:${address.text}`, 'IPv6', length);
  return masked(address.text, address.family, isMapped ? length - 96 : length);
}

/** `10.0.0.1:80`, with IPv6 in brackets: `[fd00::1]:80`. */
export function addressAndPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether an address lies in a network; false across families and for what cannot be read. */
export function cidrContains(cidr: string, address: string): boolean {
  const network = parseCidr(cidr);
  const member = parseAddress(address);
  if (network === undefined || network.family !== member?.family) return false;
  return masked(member.text, member.family, network.prefixLength).address === network.address;
}

/** The kind of a canonical address (as `parseAddress` spells it). */
export function addressKind(canonical: string): AddressKind {
  if (canonical.includes(':')) return ipv6Kind(canonical);
  const first = Number.parseInt(canonical, 10);
  if (canonical === '0.0.0.0') return 'unspecified';
  if (canonical === '255.255.255.255') return 'broadcast';
  if (first === 127) return 'loopback';
  if (canonical.startsWith('169.254.')) return 'link-local';
  return first >= 224 && first <= 239 ? 'multicast' : 'ordinary';
}

/** An address as one number, for arithmetic within a range. The text must be canonical. */
export function addressNumber(canonical: string): bigint {
  return ipaddr
    .parse(canonical)
    .toByteArray()
    .reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

/** The canonical text of the address with this number. */
export function addressWithNumber(number: bigint, family: IPFamily): string {
  const length = family === 'IPv4' ? 4 : 16;
  const bytes = Array.from({ length }, (_, index) => Number((number >> BigInt(8 * (length - 1 - index))) & 255n));
  return spelled(bytes);
}

function ipv6Kind(canonical: string): AddressKind {
  if (canonical === '::') return 'unspecified';
  if (canonical === '::1') return 'loopback';
  if (/^fe[89ab][0-9a-f]:/.test(canonical)) return 'link-local';
  return /^ff[0-9a-f]{2}:/.test(canonical) ? 'multicast' : 'ordinary';
}

const leadingZeros = /(^|[:.])0+(?=[0-9a-f])/gi;
const dottedTail = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/;

// ipaddr.js takes every address with a dotted tail for a mapped one.
function hexGroups(_tail: string, ...octets: string[]): string {
  const [a = 0, b = 0, c = 0, d = 0] = octets.map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

/** True for the plain spellings that nearly all objects use; false only means that a closer look is needed. */
function isCanonicalIPv6(text: string): boolean {
  if (!isIPv6(text) || /[A-Z%.]|(?:^|:)0|^::ffff:/.test(text)) return false;
  // One zero group alone is never compressed: with `::` at most six groups may be written out.
  return !text.includes('::') || text.split(':').length <= 7;
}

function masked(address: string, family: IPFamily, prefixLength: number): Cidr {
  const bytes = ipaddr.parse(address).toByteArray();
  const cleared = bytes.map(
    (byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, prefixLength - index * 8))) & 0xff,
  );
  const text = spelled(cleared);
  return { family, text: `${text}/${prefixLength}`, address: text, prefixLength };
}

function spelled(bytes: number[]): string {
  const address = ipaddr.fromByteArray(bytes);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}
