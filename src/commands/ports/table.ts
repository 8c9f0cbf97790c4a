import { nodePortAddresses } from '../../agent/port-listener.ts';
import type { PortRange } from '../../kernel/port-ranges.ts';
import { isEphemeral } from '../../kernel/port-ranges.ts';
import type { ServicePort, ProxyModel, TrafficPolicy } from '../../model/model.ts';
import { nodePortNumbers } from '../../source/allocation-ranges.ts';
import type { ClusterState, IPFamily } from '../../source/objects.ts';
import type { Problem } from '../../source/problem.ts';
import { claimsOf } from './claims.ts';
import type { Claim } from './claims.ts';
import { conflictsOf } from './conflicts.ts';
import type { Conflict } from './conflicts.ts';
import type { HostPorts } from './host.ts';
import { portProblems } from './problems.ts';
import type { PortProblem, Surroundings } from './problems.ts';

/** One node port: the JSON of `ports`. */
export interface NodePort extends Omit<Claim, 'isHealthCheck' | 'portName'> {
  readonly portName?: string;
  readonly externalTrafficPolicy: TrafficPolicy;
  /** Of the family that has more of them: ready anywhere, ready on this node, all. */
  readonly endpoints: { readonly ready: number; readonly local: number; readonly total: number };
  /** This node's addresses on which it answers, IPv4 first. */
  readonly addresses: readonly string[];
  readonly problems: readonly PortProblem[];
}

/** A port on which the proxy tells load balancers whether this node has endpoints. */
export interface HealthCheckNodePort {
  readonly nodePort: number;
  readonly namespace: string;
  readonly name: string;
  readonly problems: readonly PortProblem[];
}

/** All that `ports` tells. */
export interface PortTable {
  /** Sorted by number, then protocol. */
  readonly nodePorts: readonly NodePort[];
  readonly healthCheckNodePorts: readonly HealthCheckNodePort[];
  /** How many numbers of each band nobody holds. */
  readonly free: { readonly static: number; readonly dynamic: number };
  readonly bands: { readonly static: PortRange | undefined; readonly dynamic: PortRange };
  readonly conflicts: readonly Conflict[];
  /** Free numbers of the static band which nothing on this host is in the way of. */
  readonly suggested: readonly number[];
}

/** What the table is made from. */
export interface PortTableInput {
  readonly state: ClusterState;
  readonly models: readonly ProxyModel[];
  /** What was left out of the state. */
  readonly problems: readonly Problem[];
  /** Canonical addresses of this node. */
  readonly nodeAddresses: readonly string[];
  readonly nodePortRange: PortRange;
  /** Absent when the state is for another host. */
  readonly host?: HostPorts;
  /** How many free ports to suggest. */
  readonly suggest: number;
}

/** Every node port, who holds it, where it is reachable from, and what stands in its way. */
export function portTable(input: PortTableInput): PortTable {
  const claims = input.state.services.flatMap(claimsOf).toSorted(byPort);
  const conflicts = conflictsOf(input.state.services, input.models, input.problems);
  const servicePorts = servicePortsByClaim(input.models);
  const bands = bandsOf(input.nodePortRange);
  const used = new Set(claims.map(({ nodePort }) => nodePort));
  const isFree = (port: number) => !used.has(port);
  const usable = portsOf(bands.static).filter((port) => isFree(port) && !isInTheWay(port, input.host));
  const [freePort] = usable;
  const answering = new Map(input.models.map((model) => [model.family, nodePortAddresses(model, input.nodeAddresses)]));
  const around = { ...input, conflicts, answering, ...(freePort === undefined ? {} : { freePort }) };
  const [checks, traffic] = [claims.filter(isHealthCheck), claims.filter((claim) => !isHealthCheck(claim))];
  return {
    nodePorts: traffic.map((claim) => nodePortOf(claim, servicePorts.get(claimKey(claim)) ?? [], around)),
    healthCheckNodePorts: checks.map((claim) => {
      const { nodePort, namespace, name } = claim;
      const addresses = input.nodeAddresses;
      return { nodePort, namespace, name, problems: portProblems(claim, { ...around, served: [], addresses }) };
    }),
    free: {
      static: portsOf(bands.static).filter(isFree).length,
      dynamic: portsOf(bands.dynamic).filter(isFree).length,
    },
    bands,
    conflicts,
    suggested: usable.slice(0, input.suggest),
  };
}

function isHealthCheck(claim: Claim): boolean {
  return claim.isHealthCheck;
}

function nodePortOf(
  claim: Claim,
  served: readonly ServicePort[],
  around: Omit<Surroundings, 'served' | 'addresses'> & { readonly answering: ReadonlyMap<IPFamily, readonly string[]> },
): NodePort {
  const { nodePort, protocol, namespace, name, portName, port, targetPort, type } = claim;
  const addresses = addressesOf(claim, served, around.answering);
  return {
    nodePort,
    protocol,
    namespace,
    name,
    ...(portName === '' ? {} : { portName }),
    port,
    targetPort,
    type,
    externalTrafficPolicy: served.some((one) => one.externalPolicy === 'Local') ? 'Local' : 'Cluster',
    endpoints: countsOf(served),
    addresses,
    problems: portProblems(claim, { ...around, served, addresses }),
  };
}

function byPort(left: Claim, right: Claim): number {
  const keys = (claim: Claim) => [claim.protocol, claim.namespace, claim.name, claim.portName].join(' ');
  return left.nodePort - right.nodePort || (keys(left) < keys(right) ? -1 : 1);
}

function bandsOf({ first, last }: PortRange): PortTable['bands'] {
  const size = Number(nodePortNumbers({ first, last }).staticSize);
  return {
    static: size === 0 ? undefined : { first, last: first + size - 1 },
    dynamic: { first: first + size, last },
  };
}

function portsOf(range: PortRange | undefined): readonly number[] {
  if (range === undefined) return [];
  return Array.from({ length: range.last - range.first + 1 }, (_, at) => range.first + at);
}

function isInTheWay(port: number, host: HostPorts | undefined): boolean {
  if (host === undefined) return false;
  const { listeners, ephemeral } = host;
  return listeners.some((one) => one.port === port) || (ephemeral !== undefined && isEphemeral(ephemeral, port));
}

/** The service ports of all families, by the claim they are made of; their node port may have gone to another Service. */
function servicePortsByClaim(models: readonly ProxyModel[]): ReadonlyMap<string, readonly ServicePort[]> {
  const byClaim = new Map<string, ServicePort[]>();
  for (const one of models.flatMap(({ servicePorts }) => servicePorts)) {
    const key = claimKey(one);
    byClaim.set(key, [...(byClaim.get(key) ?? []), one]);
  }
  return byClaim;
}

function claimKey(of: Pick<ServicePort, 'namespace' | 'name' | 'portName' | 'protocol'>): string {
  return `${of.namespace}/${of.name}/${of.portName}/${of.protocol}`;
}

function addressesOf(
  claim: Claim,
  served: readonly ServicePort[],
  answering: ReadonlyMap<IPFamily, readonly string[]>,
): readonly string[] {
  return served
    .filter(({ nodePort }) => nodePort === claim.nodePort)
    .flatMap(({ family }) => answering.get(family) ?? []);
}

/** A pod of a dual-stack Service is an endpoint in each family; it counts once. */
function countsOf(served: readonly ServicePort[]): NodePort['endpoints'] {
  const counts = served.map(({ allEndpoints }) => {
    const ready = allEndpoints.filter(({ isReady }) => isReady);
    return { ready: ready.length, local: ready.filter(({ isLocal }) => isLocal).length, total: allEndpoints.length };
  });
  const most = (of: (count: NodePort['endpoints']) => number) => Math.max(0, ...counts.map(of));
  return { ready: most((one) => one.ready), local: most((one) => one.local), total: most((one) => one.total) };
}
