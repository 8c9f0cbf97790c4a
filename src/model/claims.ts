import type { Service } from '../source/objects.ts';
import { servicePortName } from './model.ts';
import type { Warning } from './model.ts';
import type { UnresolvedPort } from './unresolved-port.ts';

/** The service ports of one Service, in the order of the state. */
export interface Claimant {
  readonly service: Service;
  readonly ports: readonly UnresolvedPort[];
}

export interface Settlement {
  /** What each service port may serve; a port that lost nothing is the same object. Absent: it lost its cluster IP. */
  readonly granted: ReadonlyMap<UnresolvedPort, UnresolvedPort>;
  readonly warnings: readonly Warning[];
}

/** Identity of reduced ports over successive settlements: by port, then by what it lost. */
const reduced = new WeakMap<UnresolvedPort, Map<string, UnresolvedPort>>();

/**
 * Two service ports cannot both have one address, protocol and port. Cluster IPs are settled before anything a
 * user writes by hand, so that no external IP takes over another Service's cluster IP; then the older Service
 * wins, and at equal age the one that comes first in the state. Losing is per address: the rest is served.
 */
export function settleClaims(claimants: readonly Claimant[]): Settlement {
  const inOrder = claimants.toSorted(byAge);
  const owners = new Map<string, UnresolvedPort>();
  const granted = new Map<UnresolvedPort, UnresolvedPort>();
  const warnings: Warning[] = [];
  const take = (key: string, port: UnresolvedPort, what: string): boolean => {
    const owner = owners.get(key);
    if (owner === undefined) owners.set(key, port);
    else if (owner !== port) {
      warnings.push(lostTo(owner, port, what));
      return false;
    }
    return true;
  };
  const withClusterIP = inOrder.flatMap(({ ports }) =>
    ports.filter((port) => take(addressKey(port, port.clusterIP), port, `cluster IP ${port.clusterIP}`)),
  );
  for (const port of withClusterIP) {
    const externalIPs = port.externalIPs.filter((ip) => take(addressKey(port, ip), port, `external IP ${ip}`));
    const loadBalancerIPs = port.loadBalancerIPs.filter((ip) =>
      take(addressKey(port, ip), port, `load balancer IP ${ip}`),
    );
    const keepsNodePort =
      port.nodePort === undefined || take(`${port.protocol} ${port.nodePort}`, port, `node port ${port.nodePort}`);
    granted.set(port, reduce(port, externalIPs, loadBalancerIPs, keepsNodePort));
  }
  return { granted, warnings };
}

function addressKey(port: UnresolvedPort, address: string): string {
  return `${address} ${port.protocol} ${port.port}`;
}

function byAge(left: Claimant, right: Claimant): number {
  const leftTime = left.service.metadata.creationTimestamp;
  const rightTime = right.service.metadata.creationTimestamp;
  if (leftTime === undefined || rightTime === undefined || leftTime === rightTime) return 0;
  return leftTime < rightTime ? -1 : 1;
}

function reduce(
  port: UnresolvedPort,
  externalIPs: readonly string[],
  loadBalancerIPs: readonly string[],
  keepsNodePort: boolean,
): UnresolvedPort {
  const keepsAll =
    keepsNodePort &&
    externalIPs.length === port.externalIPs.length &&
    loadBalancerIPs.length === port.loadBalancerIPs.length;
  if (keepsAll) return port;
  const known = reduced.get(port) ?? new Map<string, UnresolvedPort>();
  reduced.set(port, known);
  const key = [...externalIPs, '|', ...loadBalancerIPs, '|', String(keepsNodePort)].join(' ');
  const existing = known.get(key);
  if (existing !== undefined) return existing;
  const { nodePort, ...rest } = port;
  const result = {
    ...rest,
    externalIPs,
    loadBalancerIPs,
    ...(keepsNodePort && nodePort !== undefined ? { nodePort } : {}),
  };
  known.set(key, result);
  return result;
}

function lostTo(owner: UnresolvedPort, loser: UnresolvedPort, what: string): Warning {
  return {
    object: `Service ${loser.namespace}/${loser.name}`,
    field: 'spec',
    reason: 'AddressTaken',
    message: `${what}, port ${loser.port}/${loser.protocol} of ${servicePortName(loser)}, belongs to the older ${servicePortName(owner)}; it is not served here`,
  };
}
