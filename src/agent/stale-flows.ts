import type { UdpFlow } from '../kernel/conntrack.ts';
import { servicePortName } from '../model/model.ts';
import type { ProxyModel, ServicePort } from '../model/model.ts';
import { differingMiddle } from '../ruleset/split.ts';
import { addressAndPort, parseAddress } from '../source/address.ts';

/**
 * Why a UDP flow must not stay as it is: its endpoint no longer serves, nobody serves the port any more, the address
 * or port no longer belongs to a Service, or it was let through untranslated before the port had endpoints.
 */
export type StaleReason = 'endpoint-gone' | 'no-endpoints' | 'service-gone' | 'not-translated';

/** A flow to remove from the connection table, so that its next packet is looked at anew. */
export interface StaleFlow {
  readonly flow: UdpFlow;
  readonly reason: StaleReason;
  /** The service port it went to, `namespace/name:port`. */
  readonly servicePort: string;
}

/** What flows are judged by. */
export interface StaleFlowsInput {
  readonly desired: ProxyModel;
  /** Those that `formerPorts` told since flows were last judged; at the start no Service can be known to be gone. */
  readonly former?: readonly ServicePort[];
  /** The host's own addresses, canonical: those that node ports answer on when the model says `all`. */
  readonly hostAddresses: readonly string[];
  readonly flows: Iterable<UdpFlow>;
}

/**
 * The UDP flows that conntrack would go on sending to the wrong place. A flow is judged by the Service address it was
 * sent to; only when there is none, and only on an address that accepts node ports, by the node port. A flow whose
 * endpoint serves is never touched, nor is one that belongs to no Service, so nothing is removed at a restart at
 * which nothing changed.
 */
export function staleFlows({ desired, former = [], hostAddresses, flows }: StaleFlowsInput): readonly StaleFlow[] {
  const now = flowTargets(desired, hostAddresses);
  const before = flowTargets({ ...desired, servicePorts: former }, hostAddresses);
  const stale: StaleFlow[] = [];
  for (const flow of flows) {
    const { destinationPort } = flow.original;
    // Most flows of a busy host are no business of ours; this costs them no string.
    if (!now.ports.has(destinationPort) && !before.ports.has(destinationPort)) continue;
    const target = targetOf(now, flow);
    const reason = target === undefined ? undefined : staleness(target, flow);
    const gone = target === undefined ? targetOf(before, flow) : undefined;
    if (target !== undefined && reason !== undefined) stale.push({ flow, reason, servicePort: target.name });
    else if (gone !== undefined && isTranslated(flow)) {
      stale.push({ flow, reason: 'service-gone', servicePort: gone.name });
    }
  }
  return stale;
}

/** Whether anything changed between two models that can make a UDP flow stale. Without a previous one: yes. */
export function canMakeFlowsStale(previous: ProxyModel | undefined, desired: ProxyModel): boolean {
  if (previous === undefined) return true;
  const { before, after } = differingMiddle(previous.servicePorts, desired.servicePorts);
  return before.some(isUdp) || after.some(isUdp);
}

/** The UDP service ports of which an address, a port or a node port is not in the kernel any more, by what they had. */
export function formerPorts(previous: ProxyModel, desired: ProxyModel): ReadonlyMap<string, ServicePort> {
  const { before, after } = differingMiddle(previous.servicePorts, desired.servicePorts);
  const former = new Map(before.filter(isUdp).map((port) => [destinationsOf(port), port]));
  for (const port of after.filter(isUdp)) former.delete(destinationsOf(port));
  return former;
}

function destinationsOf({ clusterIP, externalIPs, loadBalancerIPs, port, nodePort }: ServicePort): string {
  return [clusterIP, ...externalIPs, ...loadBalancerIPs, port, nodePort ?? 'no node port'].join(' ');
}

interface FlowTarget {
  readonly name: string;
  /** `address:port` of the endpoints that serve, as `Endpoint.key`. */
  readonly serving: ReadonlySet<string>;
}

interface FlowTargets {
  /** Every port number below, to rule flows out by. */
  readonly ports: ReadonlySet<number>;
  /** By `address:port`. */
  readonly byAddress: ReadonlyMap<string, FlowTarget>;
  readonly byNodePort: ReadonlyMap<number, FlowTarget>;
  readonly nodePortAddresses: ReadonlySet<string>;
}

function flowTargets(model: ProxyModel, hostAddresses: readonly string[]): FlowTargets {
  const ports = new Set<number>();
  const byAddress = new Map<string, FlowTarget>();
  const byNodePort = new Map<number, FlowTarget>();
  for (const port of model.servicePorts.filter(isUdp)) {
    const serving = new Set(port.allEndpoints.filter((endpoint) => endpoint.isServing).map((endpoint) => endpoint.key));
    const target = { name: servicePortName(port), serving };
    ports.add(port.port);
    for (const address of [port.clusterIP, ...port.externalIPs, ...port.loadBalancerIPs]) {
      const key = addressAndPort(address, port.port);
      if (!byAddress.has(key)) byAddress.set(key, target);
    }
    if (port.nodePort === undefined) continue;
    ports.add(port.nodePort);
    if (!byNodePort.has(port.nodePort)) byNodePort.set(port.nodePort, target);
  }
  return { ports, byAddress, byNodePort, nodePortAddresses: new Set(nodePortAddresses(model, hostAddresses)) };
}

function isUdp(port: ServicePort): boolean {
  return port.protocol === 'UDP';
}

function nodePortAddresses(model: ProxyModel, hostAddresses: readonly string[]): readonly string[] {
  if (model.nodePortAddresses !== 'all') return model.nodePortAddresses;
  // What a process of the host serves there to its neighbours is not ours.
  return hostAddresses.filter(
    (address) => address !== '::1' && (model.localhostNodePorts || !address.startsWith('127.')),
  );
}

function targetOf(targets: FlowTargets, { original }: UdpFlow): FlowTarget | undefined {
  const destination = canonical(original.destination);
  const byAddress = targets.byAddress.get(addressAndPort(destination, original.destinationPort));
  if (byAddress !== undefined || !targets.nodePortAddresses.has(destination)) return byAddress;
  return targets.byNodePort.get(original.destinationPort);
}

function staleness({ serving }: FlowTarget, flow: UdpFlow): StaleReason | undefined {
  if (serving.has(addressAndPort(canonical(flow.reply.source), flow.reply.sourcePort))) return undefined;
  if (isTranslated(flow)) return serving.size > 0 ? 'endpoint-gone' : 'no-endpoints';
  // Without endpoints the rules let nothing through, so what is left untranslated is a listener of the host's own.
  return serving.size > 0 ? 'not-translated' : undefined;
}

/** Somebody else than the address that the client sent to answers. */
function isTranslated({ original, reply }: UdpFlow): boolean {
  return reply.source !== original.destination || reply.sourcePort !== original.destinationPort;
}

/** The C library prints some IPv6 addresses with dots. */
function canonical(address: string): string {
  return address.includes(':') && address.includes('.') ? (parseAddress(address)?.text ?? address) : address;
}
