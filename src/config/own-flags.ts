import { parseAddress, parseCidr } from '../source/address.ts';
import type { IPFamily } from '../source/objects.ts';

/** What only Portwright can be told. */
export interface OwnFlags {
  /** Canonical addresses that count as this host's; absent: ask the host or the Node. */
  readonly nodeAddresses?: readonly string[];
  /** The families to work on, IPv4 first. */
  readonly ipFamilies: readonly IPFamily[];
  readonly iptablesVariant: 'auto' | 'nft' | 'legacy';
  /** Canonical CIDRs, at most one of a family: where Services in manifests get their addresses from. */
  readonly serviceClusterIPRanges: readonly string[];
  /** First and last: where Services in manifests get their node ports from. */
  readonly nodePortRange: { readonly first: number; readonly last: number };
  /** Of manifests that name none. */
  readonly namespace: string;
  /** Write the rules that feed the two packet counters. */
  readonly nfacct: boolean;
}

/** Reads them from flag values by name, as `readFlag` gives them. */
export function readOwnFlags(given: ReadonlyMap<string, unknown>): { flags: OwnFlags; problems: readonly string[] } {
  const problems: string[] = [];
  const read = <T>(name: string, reader: (value: unknown) => T | undefined, fallback: T, expected: string): T => {
    const value = reader(given.get(name));
    if (value === undefined) problems.push(`--${name}: got ${JSON.stringify(given.get(name))}, expected ${expected}`);
    return value ?? fallback;
  };
  const ranges = 'one CIDR, or two with a comma between, one IPv4 and one IPv6';
  const ports = 'FIRST-LAST with ports from 1 to 65535, for instance 30000-32767';
  const nodeAddresses = read('node-addresses', readAddresses, [], 'IP addresses, with commas');
  const flags = {
    ...(given.has('node-addresses') && { nodeAddresses }),
    ipFamilies: read('ip-family', readFamilies, [], 'IPv4 or IPv6'),
    iptablesVariant: read('iptables-variant', readVariant, 'auto', 'auto, nft or legacy'),
    serviceClusterIPRanges: read('service-cluster-ip-range', readRanges, [], ranges),
    nodePortRange: read('service-node-port-range', readPortRange, { first: 0, last: 0 }, ports),
    namespace: read('namespace', readNamespace, '', 'the name of a namespace'),
    nfacct: given.get('nfacct') === true,
  };
  return { flags, problems };
}

function readAddresses(value: unknown): readonly string[] | undefined {
  const list = (value ?? []) as readonly string[];
  const addresses = list.flatMap((text) => parseAddress(text.trim())?.text ?? []);
  return addresses.length === list.length ? [...new Set(addresses)] : undefined;
}

function readFamilies(value: unknown): readonly IPFamily[] | undefined {
  const name = textOf(value, '');
  if (name === '') return ['IPv4', 'IPv6'];
  const family = (['IPv4', 'IPv6'] as const).find((known) => known.toLowerCase() === name.toLowerCase());
  return family === undefined ? undefined : [family];
}

function readVariant(value: unknown): OwnFlags['iptablesVariant'] | undefined {
  return (['auto', 'nft', 'legacy'] as const).find((name) => name === textOf(value, 'auto'));
}

function readRanges(value: unknown): readonly string[] | undefined {
  const list = (value ?? ['10.96.0.0/12', 'fd00:10:96::/108']) as readonly string[];
  const cidrs = list.flatMap((text) => parseCidr(text.trim()) ?? []);
  const distinct = new Set(cidrs.map(({ family }) => family));
  return cidrs.length === list.length && distinct.size === list.length ? cidrs.map(({ text }) => text) : undefined;
}

function readPortRange(value: unknown): OwnFlags['nodePortRange'] | undefined {
  const [, from, to] = /^([0-9]{1,5})-([0-9]{1,5})$/.exec(textOf(value, '30000-32767')) ?? [];
  const [first, last] = [Number(from), Number(to)];
  return first >= 1 && first <= last && last <= 65535 ? { first, last } : undefined;
}

/** An RFC 1123 label. */
function readNamespace(value: unknown): string | undefined {
  const name = textOf(value, 'default');
  return /^[a-z0-9][a-z0-9-]{0,62}$/.test(name) && !name.endsWith('-') ? name : undefined;
}

function textOf(value: unknown, absent: string): string {
  return typeof value === 'string' ? value : absent;
}
