import type { Service } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';
import { servicePortName } from './model.ts';
import type { UnresolvedPort } from './unresolved-port.ts';

/** A Service and the service ports it asks for, in the order of the state. */
export interface Claimant {
  readonly service: Service;
  readonly ports: readonly UnresolvedPort[];
}

/** Who may serve what. */
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
export function settleClaims(claimants: readonly Claimant[], register: ClaimRegister): Settlement {
  const contested = register.contested(claimants);
  if (contested.length === 0) return { granted: new Map(), warnings: [] };
  const warnings: Warning[] = [];
  const owners = new Map<string, UnresolvedPort>();
  const take = (key: string, port: UnresolvedPort, what: string): boolean => {
    const owner = owners.get(key) ?? port;
    owners.set(key, owner);
    if (owner !== port) warnings.push(lostTo(owner, port, what, whyOf(owner, key)));
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

/**
 * Who claims what, over successive settlements: only what came and went is looked at. What it answers depends on
 * the claimants alone.
 */
export class ClaimRegister {
  readonly #holders = new Map<string, number>();
  readonly #contested = new Set<string>();
  #known: ReadonlySet<readonly UnresolvedPort[]> = new Set();

  /** Those with a claim that another Service has too; almost always nobody. */
  contested(claimants: readonly Claimant[]): readonly Claimant[] {
    const present = new Set(claimants.map(({ ports }) => ports));
    for (const ports of this.#known) if (!present.has(ports)) this.#count(ports, -1);
    for (const ports of present) if (!this.#known.has(ports)) this.#count(ports, 1);
    this.#known = present;
    if (this.#contested.size === 0) return [];
    return claimants.filter(({ ports }) => keysOf(ports).some((key) => this.#contested.has(key)));
  }

  #count(ports: readonly UnresolvedPort[], difference: 1 | -1): void {
    for (const key of keysOf(ports)) {
      const count = (this.#holders.get(key) ?? 0) + difference;
      if (count === 0) this.#holders.delete(key);
      else this.#holders.set(key, count);
      if (count > 1) this.#contested.add(key);
      else this.#contested.delete(key);
    }
  }
}

/** While anything is contested, each settlement looks at the claims of all. */
const claimKeys = new WeakMap<readonly UnresolvedPort[], readonly string[]>();

/** Each claim of a Service once: its own ports may share an address. */
function keysOf(ports: readonly UnresolvedPort[]): readonly string[] {
  const known = claimKeys.get(ports);
  if (known !== undefined) return known;
  const keys = ports.flatMap((port) => [
    ...[port.clusterIP, ...port.externalIPs, ...port.loadBalancerIPs].map((address) => addressKey(port, address)),
    ...(port.nodePort === undefined ? [] : [nodePortKey(port)]),
  ]);
  const distinct = [...new Set(keys)];
  claimKeys.set(ports, distinct);
  return distinct;
}

function addressKey(port: UnresolvedPort, address: string): string {
  // Of a key made with a template V8 keeps the pieces beside the whole.
  return [address, port.protocol, port.port].join(' ');
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

function lostTo(owner: UnresolvedPort, loser: UnresolvedPort, what: string, why: string): Warning {
  return {
    object: `Service ${loser.namespace}/${loser.name}`,
    field: 'spec',
    reason: 'AddressTaken',
    message: `${what}, port ${loser.port}/${loser.protocol} of ${servicePortName(loser)}, belongs to ${servicePortName(owner)}, ${why}; it is not served here`,
  };
}

function whyOf(owner: UnresolvedPort, key: string): string {
  return key === addressKey(owner, owner.clusterIP) ? 'whose cluster IP it is' : 'which came first';
}
