import { addressNumber, cidrContains, parseAddress, parseCidr } from './address.ts';
import { goQuote, invalid, invalidMessage } from './admission/field-error.ts';
import { isHeadless, needsHealthCheckPort, wantsNodePorts } from './admission/service-defaults.ts';
import { Pool } from './allocation-pool.ts';
import { clusterIPNumbers, nodePortNumbers } from './allocation-ranges.ts';
import type { IPFamily, Service, ServicePortSpec } from './objects.ts';
import type { Cause } from './problem.ts';

/** Who holds a port or an address, and where that is written. */
export interface Holder {
  readonly service: Service;
  /** `file:line`; found only when it is asked for. */
  readonly place: () => string;
}

export interface Pools {
  readonly nodePorts: Pool<Holder>;
  readonly nodePortRange: { readonly first: number; readonly last: number };
  readonly clusterIPs: ReadonlyMap<IPFamily, { readonly cidr: string; readonly pool: Pool<Holder> }>;
}

/** Why a Service cannot have what it asks for, in the API server's words. */
export interface Refusal {
  readonly message: string;
  readonly causes: readonly Cause[];
  /** The Service that has it. */
  readonly holder?: Holder;
}

/** The first range of each family, the default family first. */
export function createPools(
  serviceClusterIPRanges: readonly string[],
  nodePortRange: { readonly first: number; readonly last: number },
): Pools {
  const clusterIPs = new Map<IPFamily, { cidr: string; pool: Pool<Holder> }>();
  for (const range of serviceClusterIPRanges) {
    const cidr = parseCidr(range);
    const numbers = clusterIPNumbers(range);
    if (cidr === undefined || numbers === undefined || clusterIPs.has(cidr.family)) continue;
    clusterIPs.set(cidr.family, { cidr: cidr.text, pool: new Pool(numbers) });
  }
  return { nodePorts: new Pool(nodePortNumbers(nodePortRange)), nodePortRange, clusterIPs };
}

/** Takes what a stored Service has. It keeps it whoever else has it too. */
export function claimStored(service: Service, place: Holder['place'], pools: Pools): void {
  const holder = { service, place };
  const { clusterIP, clusterIPs, ports = [], healthCheckNodePort } = service.spec;
  for (const text of clusterIPs ?? [clusterIP ?? '']) {
    const address = parseAddress(text);
    const pool = address && pools.clusterIPs.get(address.family)?.pool;
    if (address !== undefined && pool !== undefined) claimIfInRange(pool, addressNumber(address.text), holder);
  }
  for (const port of [...ports.map(({ nodePort }) => nodePort), healthCheckNodePort]) {
    if (port !== undefined) claimIfInRange(pools.nodePorts, BigInt(port), holder);
  }
}

function claimIfInRange(pool: Pool<Holder>, value: bigint, holder: Holder): void {
  if (pool.contains(value)) pool.claim(value, holder);
}

/**
 * Takes the addresses and ports that a new Service asks for, as the API server does: all of them or none. Ports of
 * one number share a node port. Node ports are taken by number, whatever the protocol.
 */
export function claim(
  service: Service,
  place: Holder['place'],
  pools: Pools,
): { readonly service: Service; readonly release: () => void } | Refusal {
  const taken: (() => void)[] = [];
  const release = (): void => {
    for (const giveBack of taken) giveBack();
  };
  const take: Take = (pool, value) => {
    const isTaken = pool.claim(value, { service, place });
    if (isTaken)
      taken.push(() => {
        pool.release(value);
      });
    return isTaken;
  };
  const addressRefusal = claimAddresses(service, pools, take);
  const ports = addressRefusal === undefined ? claimPorts(service, pools, take) : { refusal: addressRefusal };
  const refusal = ports.refusal ?? claimHealthCheckPort(service, pools, take);
  if (refusal === undefined) return { service: { ...service, spec: { ...service.spec, ...ports.spec } }, release };
  release();
  return refusal;
}

type Take = (pool: Pool<Holder>, value: bigint) => boolean;

function claimAddresses(service: Service, { clusterIPs: pools }: Pools, take: Take): Refusal | undefined {
  const { type, clusterIPs = [] } = service.spec;
  if (type === 'ExternalName' || isHeadless(service.spec)) return undefined;
  for (const text of clusterIPs) {
    const address = parseAddress(text);
    const range = address && pools.get(address.family);
    if (address === undefined || range === undefined) continue;
    const value = addressNumber(address.text);
    const error = claimError(range.pool, value, take);
    if (error === undefined) continue;
    const why = error === 'taken' ? 'provided IP is already allocated' : outsideRange(text, range.cidr, address.text);
    const cause = invalid('spec.clusterIPs', clusterIPs, `failed to allocate IP ${text}: ${why}`);
    return refused(service, [cause], range.pool.holderOf(value));
  }
  return undefined;
}

function outsideRange(text: string, range: string, address: string): string {
  return cidrContains(range, address)
    ? `the provided IP (${text}) is not in the valid range. The range of valid IPs is ${range}`
    : 'the provided network does not match the current range';
}

function claimPorts(
  service: Service,
  pools: Pools,
  take: Take,
): { readonly spec?: { readonly ports: readonly ServicePortSpec[] }; readonly refusal?: Refusal } {
  const { type, ports = [] } = service.spec;
  if ((type !== 'NodePort' && type !== 'LoadBalancer') || ports.length === 0) return {};
  const byNumber = new Map<number, number>();
  const settled: ServicePortSpec[] = [];
  for (const [index, port] of ports.entries()) {
    const shared = byNumber.get(port.port);
    const asked = shared === undefined ? ports.find((other) => isAskedFor(other, port.port))?.nodePort : port.nodePort;
    const isLeftAlone = port.nodePort === undefined && !wantsNodePorts(service.spec);
    const nodePort = isLeftAlone ? undefined : (asked ?? shared);
    settled.push(nodePort === undefined ? port : { ...port, nodePort });
    if (nodePort === undefined || nodePort === shared) continue;
    const error = claimError(pools.nodePorts, BigInt(nodePort), take);
    if (error !== undefined) {
      const cause = invalid(`spec.ports[${index}].nodePort`, nodePort, portError(error, pools));
      return { refusal: refused(service, [cause], pools.nodePorts.holderOf(BigInt(nodePort))) };
    }
    if (shared === undefined) byNumber.set(port.port, nodePort);
  }
  return { spec: { ports: settled } };
}

function isAskedFor(port: ServicePortSpec, number: number): boolean {
  return port.port === number && port.nodePort !== undefined;
}

function claimHealthCheckPort(service: Service, pools: Pools, take: Take): Refusal | undefined {
  const { healthCheckNodePort: port } = service.spec;
  if (port === undefined || !needsHealthCheckPort(service.spec)) return undefined;
  const error = claimError(pools.nodePorts, BigInt(port), take);
  if (error === undefined) return undefined;
  const holder = pools.nodePorts.holderOf(BigInt(port));
  const message = `failed to allocate requested HealthCheck NodePort ${port}: ${portError(error, pools)}`;
  // The server answers with an internal error here; the field is named all the same.
  const causes = [{ reason: 'FieldValueInvalid', field: 'spec.healthCheckNodePort', message }];
  return { message: `Internal error occurred: ${message}`, causes, ...(holder && { holder }) };
}

function claimError(pool: Pool<Holder>, value: bigint, take: Take): 'outside' | 'taken' | undefined {
  if (!pool.contains(value)) return 'outside';
  return take(pool, value) ? undefined : 'taken';
}

function portError(error: 'outside' | 'taken', { nodePortRange: { first, last } }: Pools): string {
  return error === 'taken'
    ? 'provided port is already allocated'
    : `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
}

function refused(service: Service, causes: readonly Cause[], holder: Holder | undefined): Refusal {
  const message = invalidMessage('Service', service.metadata.name, causes);
  return { message, causes, ...(holder && { holder }) };
}

/** `held by Service default/web (a.yaml:3)`, for people. */
export function heldBy({ service, place }: Holder): string {
  const name = goQuote(nameOf(service)).slice(1, -1);
  return `held by Service ${name} (${place()})`;
}

/** `namespace/name`. */
export function nameOf({ metadata }: Service): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
