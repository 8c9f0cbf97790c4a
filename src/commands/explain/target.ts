import { parseAddress } from '../../ruleset/walk-address.ts';
import type { Address } from '../../ruleset/walk-address.ts';
import { UsageError } from '../failure.ts';

/** The protocols that Services know, as rules spell them. */
export type WalkProtocol = 'tcp' | 'udp' | 'sctp';

/** What `--to` names. */
export type Target = { readonly protocol?: WalkProtocol } & (
  | { readonly kind: 'address'; readonly address: Address; readonly port: number }
  | { readonly kind: 'node'; readonly port: number }
  /** `port` is a number or a name; absent: the only one. */
  | { readonly kind: 'service'; readonly namespace: string; readonly name: string; readonly port?: string }
);

const forms =
  'IP:PORT, [IPv6]:PORT, node:NODEPORT or [NAMESPACE/]SERVICE[:PORT], each with /tcp, /udp or /sctp if need be';

/** Reads `--to`; a Service without a namespace is in `defaultNamespace`. */
export function parseTarget(text: string, defaultNamespace = 'default'): Target {
  const parts = /^(.*?)(?::([^:/\]]+))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const [, host = '', port, named] = parts ?? [];
  const protocol = named === undefined ? {} : { protocol: named.toLowerCase() as WalkProtocol };
  const address = parseAddress(host.replace(/^\[(.*)\]$/, '$1'));
  if (address !== undefined && (!address.isV6 || host.startsWith('['))) {
    return { kind: 'address', address, port: portNumber(port, text), ...protocol };
  }
  if (host === 'node') return { kind: 'node', port: portNumber(port, text), ...protocol };
  const service = /^(?:([a-z0-9][a-z0-9-]*)\/)?([a-z0-9][a-z0-9-]*)$/.exec(host);
  const [, namespace = defaultNamespace, name] = service ?? [];
  if (name === undefined) throw new UsageError(`--to ${text}: expected ${forms}`);
  return { kind: 'service', namespace, name, ...(port === undefined ? {} : { port }), ...protocol };
}

/** Reads `--from`: an address, with a port if need be. */
export function parseClient(text: string): { readonly address: Address; readonly port?: number } {
  const whole = parseAddress(text);
  if (whole !== undefined) return { address: whole };
  const parts = /^(?:\[([^\]]+)\]|([\d.]+))(?::(\d+))?$/.exec(text);
  const address = parseAddress(parts?.[1] ?? parts?.[2] ?? '');
  if (address === undefined) throw new UsageError(`--from ${text}: expected IP, IP:PORT or [IPv6]:PORT`);
  const port = parts?.[3];
  return { address, ...(port === undefined ? {} : { port: portNumber(port, text) }) };
}

function portNumber(text: string | undefined, whole: string): number {
  const port = Number(text);
  if (text === undefined || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw new UsageError(`${whole}: expected a port from 1 to 65535 after the last colon; ${forms}`);
  }
  return port;
}
