import type { Service } from '../source/objects.ts';
import { servicePortName } from './model.ts';
import type { Warning } from './model.ts';
import type { UnresolvedPort } from './unresolved-port.ts';

/** A Service and the service ports it asks for, in the order of the state. */
export interface Claimant {
  readonly service: Service;
  readonly ports: readonly UnresolvedPort[];
}

export interface Settlement {
  /** What remains of the ports of Services that lost something; the others may serve all they ask for. */
  readonly granted: ReadonlyMap<Service, readonly UnresolvedPort[]>;
  readonly warnings: readonly Warning[];
}

/**
 * Two service ports cannot both have one address, protocol and port. Cluster IPs are settled before anything a
 * user writes by hand, so that no external IP takes over another Service's cluster IP; then the older Service
 * wins, and at equal age the one that comes first in the state. Losing is per address: the rest is served.
 */
export function settleClaims(claimants: readonly Claimant[]): Settlement {
  const contested = contestants(claimants);
  if (contested.length === 0) return { granted: new Map(), warnings: [] };
  const warnings: Warning[] = [];
  const owners = new Map<string, UnresolvedPort>();
  const take = (key: string, port: UnresolvedPort, what: string): boolean => {
    const owner = owners.get(key) ?? port;
    owners.set(key, owner);
    if (owner !== port) warnings.push(lostTo(owner, port, what));
    return owner === port;
  };
  const withClusterIP = contested.toSorted(byAge).map(({ service, ports }) => ({
    service,
    ports: ports.filter((port) => take(addressKey(port, port.clusterIP), port, `cluster IP ${port.clusterIP}`)),
  }));
  const granted = new Map(
    withClusterIP.map(({ service, ports }) => [
      service,
      remembered(
        service,
        ports.map((port) => reduce(port, take)),
      ),
    ]),
  );
  return { granted, warnings };
}

type Take = (key: string, port: UnresolvedPort, what: string) => boolean;

/** Those with a claim that another Service has too. Almost always nobody, so this is all that most settlements cost. */
function contestants(claimants: readonly Claimant[]): readonly Claimant[] {
  const first = new Map<string, Claimant>();
  const contested = new Set<Claimant>();
  for (const claimant of claimants) {
    for (const key of keysOf(claimant)) {
      const other = first.get(key);
      if (other === undefined) first.set(key, claimant);
      else if (other !== claimant) contested.add(other).add(claimant);
    }
  }
  return contested.size === 0 ? [] : claimants.filter((claimant) => contested.has(claimant));
}

const claimKeys = new WeakMap<readonly UnresolvedPort[], readonly string[]>();

function keysOf({ ports }: Claimant): readonly string[] {
  const known = claimKeys.get(ports);
  if (known !== undefined) return known;
  const keys = ports.flatMap((port) => [
    ...[port.clusterIP, ...port.externalIPs, ...port.loadBalancerIPs].map((address) => addressKey(port, address)),
    ...(port.nodePort === undefined ? [] : [nodePortKey(port)]),
  ]);
  claimKeys.set(ports, keys);
  return keys;
}

function addressKey(port: UnresolvedPort, address: string): string {
  return `${address} ${port.protocol} ${port.port}`;
}

function nodePortKey(port: UnresolvedPort): string {
  return `${port.protocol} ${port.nodePort ?? ''}`;
}

function byAge(left: Claimant, right: Claimant): number {
  const leftTime = left.service.metadata.creationTimestamp;
  const rightTime = right.service.metadata.creationTimestamp;
  if (leftTime === undefined || rightTime === undefined || leftTime === rightTime) return 0;
  return leftTime < rightTime ? -1 : 1;
}

function reduce(port: UnresolvedPort, take: Take): UnresolvedPort {
  const { nodePort, ...rest } = port;
  const externalIPs = port.externalIPs.filter((ip) => take(addressKey(port, ip), port, `external IP ${ip}`));
  const loadBalancerIPs = port.loadBalancerIPs.filter((ip) =>
    take(addressKey(port, ip), port, `load balancer IP ${ip}`),
  );
  const keepsNodePort = nodePort !== undefined && take(nodePortKey(port), port, `node port ${nodePort}`);
  return { ...rest, externalIPs, loadBalancerIPs, ...(keepsNodePort ? { nodePort } : {}) };
}

/** What a Service was granted last, so that the same outcome is the same object. */
const outcomes = new WeakMap<Service, readonly UnresolvedPort[]>();

function remembered(service: Service, ports: readonly UnresolvedPort[]): readonly UnresolvedPort[] {
  const known = outcomes.get(service);
  if (known !== undefined && JSON.stringify(known) === JSON.stringify(ports)) return known;
  outcomes.set(service, ports);
  return ports;
}

function lostTo(owner: UnresolvedPort, loser: UnresolvedPort, what: string): Warning {
  return {
    object: `Service ${loser.namespace}/${loser.name}`,
    field: 'spec',
    reason: 'AddressTaken',
    message: `${what}, port ${loser.port}/${loser.protocol} of ${servicePortName(loser)}, belongs to the older ${servicePortName(owner)}; it is not served here`,
  };
}
