import type { LocalDetector, ProxyModel } from '../../model/model.ts';
import { contains, onlyAddress, parseAddress, parseRange } from '../../ruleset/walk-address.ts';
import type { Address } from '../../ruleset/walk-address.ts';
import type { Host, Packet } from '../../ruleset/walk-program.ts';
import type { Destination } from './frontend.ts';

/** Who sends: a pod as local detection sees them, this node itself, or anybody else. */
export type ClientKind = 'pod' | 'node' | 'outside';

/** Who sends the packet. */
export interface Client {
  readonly kind: ClientKind;
  readonly address: Address;
  readonly port?: number;
  readonly inInterface?: string;
}

/** What tells clients apart: the node, and the model where there is one. */
export interface ClientFacts {
  readonly model?: ProxyModel;
  readonly host: Host;
  readonly primaryAddresses: readonly string[];
  readonly podCIDRs: readonly string[];
}

/** Tells what kind of client an address is. */
export function kindOf(address: Address, inInterface: string | undefined, facts: ClientFacts): ClientKind {
  if (inInterface === undefined && facts.host.isLocal(address)) return 'node';
  const detector = facts.model?.localDetector;
  if (detector?.kind === 'cidr') return isInside(detector.cidr, address) ? 'pod' : 'outside';
  if (detector !== undefined && inInterface !== undefined) {
    return isFrom(detector, inInterface) ? 'pod' : 'outside';
  }
  return facts.podCIDRs.some((cidr) => isInside(cidr, address)) ? 'pod' : 'outside';
}

/** One client of each kind for a destination; no pod when nothing tells where pods live. */
export function usualClients(destination: Destination, facts: ClientFacts): readonly Client[] {
  const { isV6 } = destination.address;
  const pod = podAddress(isV6, facts);
  // A process that dials an address of its own host sends from that address.
  const own = facts.host.isLocal(destination.address)
    ? destination.address
    : facts.primaryAddresses.flatMap((text) => parseAddress(text) ?? []).find((address) => address.isV6 === isV6);
  const outside = parseAddress(isV6 ? '2001:db8::1' : '192.0.2.1');
  return [
    ...(pod === undefined ? [] : [{ kind: 'pod' as const, address: pod }]),
    ...(own === undefined ? [] : [{ kind: 'node' as const, address: own }]),
    ...(outside === undefined ? [] : [{ kind: 'outside' as const, address: outside }]),
  ];
}

/** The first packet that a client sends. */
export function packetFrom(client: Client, destination: Destination, facts: ClientFacts): Packet {
  return {
    source: client.address,
    ...(client.port === undefined ? {} : { sourcePort: client.port }),
    destination: destination.address,
    port: destination.port,
    protocol: destination.protocol,
    isFromHost: client.kind === 'node',
    ...arrival(client, facts.model?.localDetector),
  };
}

function arrival(
  { kind, inInterface }: Client,
  detector: LocalDetector | undefined,
): Pick<Packet, 'inInterface' | 'notFromInterface'> {
  if (kind === 'node') return {};
  if (inInterface !== undefined) return { inInterface };
  if (detector === undefined || detector.kind === 'cidr') return {};
  const isPrefix = detector.kind === 'interface-prefix';
  if (kind === 'outside') return { notFromInterface: isPrefix ? `${detector.prefix}+` : detector.name };
  return { inInterface: isPrefix ? `${detector.prefix}0` : detector.name };
}

function isFrom(detector: LocalDetector, inInterface: string): boolean {
  if (detector.kind === 'interface') return inInterface === detector.name;
  return detector.kind === 'interface-prefix' && inInterface.startsWith(detector.prefix);
}

/** How far into the range of this node's pods to look for an address that is neither the node's nor an endpoint. */
const maxTried = 512n;

function podAddress(isV6: boolean, { model, host, podCIDRs }: ClientFacts): Address | undefined {
  const detected = model?.localDetector?.kind === 'cidr' ? [model.localDetector.cidr] : [];
  const range = [...podCIDRs, ...detected].flatMap((cidr) => parseRange(cidr) ?? []).find((one) => one.isV6 === isV6);
  if (range === undefined) return undefined;
  const taken = model === undefined ? new Set() : endpointAddresses(model);
  for (let offset = 2n; offset < maxTried && range.low + offset <= range.high; offset++) {
    const value = range.low + offset;
    const address = parseAddress(onlyAddress({ isV6, low: value, high: value }) ?? '');
    if (address !== undefined && !host.isLocal(address) && !taken.has(address.text)) return address;
  }
  return undefined;
}

const known = new WeakMap<ProxyModel, ReadonlySet<string>>();

function endpointAddresses(model: ProxyModel): ReadonlySet<string> {
  const seen = known.get(model);
  if (seen !== undefined) return seen;
  const addresses = new Set(model.servicePorts.flatMap((port) => port.allEndpoints.map(({ address }) => address)));
  known.set(model, addresses);
  return addresses;
}

function isInside(cidr: string, address: Address): boolean {
  const range = parseRange(cidr);
  return range !== undefined && contains(range, address);
}
