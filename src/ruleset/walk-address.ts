import ipaddr from 'ipaddr.js';

/** An IP address as the walker compares it: canonical text, and a number for ranges. */
export interface Address {
  readonly text: string;
  readonly isV6: boolean;
  readonly value: bigint;
}

/** Consecutive addresses of one family, both ends included. */
export interface AddressRange {
  readonly isV6: boolean;
  readonly low: bigint;
  readonly high: bigint;
}

const known = new Map<string, Address>();
/** Rulesets repeat their addresses; the bound only keeps a long-lived process from growing. */
const maxKnown = 100_000;

/** Reads `10.0.0.1` or `fd00::1`; anything else is `undefined`. */
export function parseAddress(text: string): Address | undefined {
  const seen = known.get(text);
  if (seen !== undefined) return seen;
  const plain = withoutDottedEnd(text);
  if (!ipaddr.IPv4.isValidFourPartDecimal(plain) && !(ipaddr.IPv6.isValid(plain) && !plain.includes('%')))
    return undefined;
  const parsed = ipaddr.parse(plain);
  const isV6 = parsed.kind() === 'ipv6';
  const address = { text: parsed.toString(), isV6, value: number(parsed.toByteArray()) };
  if (known.size >= maxKnown) known.clear();
  known.set(text, address);
  return address;
}

/** Reads an address, a CIDR or `A-B`; anything else is `undefined`. */
export function parseRange(text: string): AddressRange | undefined {
  const slash = text.indexOf('/');
  if (slash >= 0) return parsePrefix(text.slice(0, slash), text.slice(slash + 1));
  const dash = text.indexOf('-');
  const low = parseAddress(dash < 0 ? text : text.slice(0, dash));
  const high = dash < 0 ? low : parseAddress(text.slice(dash + 1));
  if (low === undefined || high?.isV6 !== low.isV6) return undefined;
  return { isV6: low.isV6, low: low.value, high: high.value };
}

/** The text of a range that holds one address; `undefined` for wider ones. */
export function onlyAddress(range: AddressRange): string | undefined {
  return range.low === range.high ? ipaddr.fromByteArray(bytes(range.low, range.isV6 ? 16 : 4)).toString() : undefined;
}

/** Whether an address lies in a range; never across families. */
export function contains(range: AddressRange, address: Address): boolean {
  return range.isV6 === address.isV6 && range.low <= address.value && address.value <= range.high;
}

/** `::1.2.3.4`, as glibc prints it, is `::102:304`; ipaddr.js takes it for the IPv4-mapped `::ffff:1.2.3.4`. */
function withoutDottedEnd(text: string): string {
  const parts = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (parts === null) return text;
  const [a = 0, b = 0, c = 0, d = 0] = parts.slice(2).map(Number);
  if ([a, b, c, d].some((byte) => byte > 255)) return text;
  return `${parts[1] ?? ''}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function parsePrefix(base: string, length: string): AddressRange | undefined {
  const address = parseAddress(base);
  if (address === undefined) return undefined;
  const bits = address.isV6 ? 128 : 32;
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : prefixOfMask(length, address.isV6);
  if (prefix === undefined || prefix > bits) return undefined;
  const hostBits = BigInt(bits - prefix);
  const low = (address.value >> hostBits) << hostBits;
  return { isV6: address.isV6, low, high: low + (1n << hostBits) - 1n };
}

/** `255.255.0.0` → 16; a mask with holes is not a prefix. */
function prefixOfMask(text: string, isV6: boolean): number | undefined {
  const mask = parseAddress(text);
  if (mask?.isV6 !== isV6) return undefined;
  const digits = mask.value.toString(2).padStart(isV6 ? 128 : 32, '0');
  const prefix = digits.indexOf('0');
  if (prefix < 0) return digits.length;
  return digits.includes('1', prefix) ? undefined : prefix;
}

function number(bytes: readonly number[]): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function bytes(value: bigint, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Number((value >> BigInt(8 * (count - 1 - index))) & 255n));
}
