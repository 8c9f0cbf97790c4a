import type { ProxyModel, ServicePort } from '../../model/model.ts';
import { parseAddress, parseRange, onlyAddress } from '../../ruleset/walk-address.ts';
import type { Address } from '../../ruleset/walk-address.ts';
import { kindOf, usualClients } from '../explain/client.ts';
import type { Client, ClientFacts } from '../explain/client.ts';
import { protocolOf } from '../explain/frontend.ts';
import type { Destination } from '../explain/frontend.ts';
import type { WalkProtocol } from '../explain/target.ts';

/** A client and what it dials. */
export interface RelevantPacket {
  readonly client: Client;
  readonly destination: Destination;
}

/** What the packets are made from: the node, and one family's model. */
export interface PacketFacts extends ClientFacts {
  readonly model: ProxyModel;
  /** The host's addresses, both families. */
  readonly addresses: readonly string[];
}

/** A port that Services rarely have; the next free one is taken. */
const strangePort = 4444;

/**
 * One packet for every way in which rules can tell packets of this family apart: every address and port of every
 * Service, ports and addresses that nothing serves, and each kind of client of them.
 */
export function relevantPackets(facts: PacketFacts): readonly RelevantPacket[] {
  const { model } = facts;
  const own = localAddresses(facts);
  const packets = model.servicePorts.flatMap((port) => packetsFor(port, own, facts));
  const strange = [...strangePorts(model), ...unallocated(model)].flatMap((destination) =>
    usualClients(destination, facts).map((client) => ({ client, destination })),
  );
  return [...packets, ...strange];
}

/** The node's own addresses and a loopback one, which only its own processes reach. */
function localAddresses({ model, addresses }: PacketFacts): readonly Address[] {
  const isV6 = model.family === 'IPv6';
  const all = [...addresses, isV6 ? '::1' : '127.0.0.1'].flatMap((text) => parseAddress(text) ?? []);
  return [...new Map(all.filter((one) => one.isV6 === isV6).map((one) => [one.text, one])).values()];
}

function packetsFor(port: ServicePort, own: readonly Address[], facts: PacketFacts): readonly RelevantPacket[] {
  const protocol = protocolOf(port);
  const services = [port.clusterIP, ...port.externalIPs, ...port.loadBalancerIPs].flatMap((text) =>
    destinations(text, port.port, protocol),
  );
  const { nodePort } = port;
  const nodePorts = nodePort === undefined ? [] : own.map((address) => ({ address, port: nodePort, protocol }));
  const guests = [...hairpins(port, facts), ...rangeClients(port, facts)];
  return [...services, ...nodePorts].flatMap((destination) => {
    const isLoopback = destination.address.text === '::1' || destination.address.text.startsWith('127.');
    const usual = usualClients(destination, facts).filter(({ kind }) => kind === 'node' || !isLoopback);
    const clients = isLoopback ? usual : [...usual, ...guests];
    return clients.map((client) => ({ client, destination }));
  });
}

function destinations(text: string, port: number, protocol: WalkProtocol): readonly Destination[] {
  const address = parseAddress(text);
  return address === undefined ? [] : [{ address, port, protocol }];
}

/** An endpoint that dials its own Service. */
function hairpins(port: ServicePort, facts: PacketFacts): readonly Client[] {
  const local = port.reachableEndpoints.find((endpoint) => endpoint.isLocal);
  const address = parseAddress(local?.address ?? '');
  return address === undefined ? [] : [{ kind: kindOf(address, undefined, facts), address }];
}

/** Clients inside every source range, and one that calls from the load balancer address itself. */
function rangeClients(port: ServicePort, facts: PacketFacts): readonly Client[] {
  const starts = (port.sourceRanges ?? []).flatMap((cidr) => {
    const range = parseRange(cidr);
    return range === undefined ? [] : (onlyAddress({ ...range, high: range.low }) ?? []);
  });
  const texts = port.sourceRanges === undefined ? [] : [...starts, ...port.loadBalancerIPs.slice(0, 1)];
  return texts.flatMap((text) => {
    const address = parseAddress(text);
    return address === undefined ? [] : [{ kind: kindOf(address, undefined, facts), address }];
  });
}

/** On each cluster IP a port that it does not serve. */
function strangePorts({ servicePorts }: ProxyModel): readonly Destination[] {
  const served = new Map<string, Set<number>>();
  for (const { clusterIP, port } of servicePorts) served.set(clusterIP, (served.get(clusterIP) ?? new Set()).add(port));
  return [...served].flatMap(([clusterIP, ports]) => {
    let port = strangePort;
    while (ports.has(port)) port++;
    return destinations(clusterIP, port, 'tcp');
  });
}

/** In each range of Service addresses one that no Service has. */
function unallocated({ serviceCIDRs, servicePorts }: ProxyModel): readonly Destination[] {
  const taken = new Set(servicePorts.map(({ clusterIP }) => clusterIP));
  return serviceCIDRs.flatMap((cidr) => {
    const range = parseRange(cidr);
    if (range === undefined) return [];
    for (let value = range.high - 1n; value > range.low; value--) {
      const text = onlyAddress({ isV6: range.isV6, low: value, high: value }) ?? '';
      if (!taken.has(text)) return destinations(text, 80, 'tcp');
    }
    return [];
  });
}
