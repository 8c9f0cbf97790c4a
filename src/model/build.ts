import { parseCidr } from '../source/address.ts';
import type { ClusterState, EndpointSlice, IPFamily, Service } from '../source/objects.ts';
import { settleClaims } from './claims.ts';
import type { Claimant, Settlement } from './claims.ts';
import { endpointsKey, serviceEndpoints } from './endpoints.ts';
import type { ServiceEndpoints } from './endpoints.ts';
import type { Endpoint, ProxyModel, ServicePort, Warning } from './model.ts';
import type { ModelOptions } from './options.ts';
import { resolve } from './topology.ts';
import type { Location } from './topology.ts';
import { unresolvedPorts } from './unresolved-port.ts';
import type { UnresolvedPort, UnresolvedPorts } from './unresolved-port.ts';

const zoneLabel = 'topology.kubernetes.io/zone';
/** Above this many endpoints kube-proxy writes no comments into the rules of single endpoints (spec 9.3). */
const largeClusterEndpoints = 1000;
const noSlices: readonly EndpointSlice[] = [];
const noEndpoints: readonly Endpoint[] = [];

/**
 * All that this node must make true for one family. Work is remembered by the identity of the objects it was done
 * for, so between two snapshots only what changed is computed again, and service ports that did not change are the
 * same objects. Options count by identity too: keep the object while nothing in it changes.
 */
export function buildModel(state: ClusterState, options: ModelOptions): ProxyModel {
  const remembered = memoryFor(options);
  const { claimants, settlement, warnings } = claimsOf(state.services, options, remembered);
  const location = locationOf(state, options, remembered);
  const allWarnings: Warning[] = [...warnings];
  const servicePorts: ServicePort[] = [];
  let endpointCount = 0;
  for (const { service, ports } of claimants) {
    if (ports.length === 0) continue;
    const slices = state.slices.get(`${service.metadata.namespace ?? ''}/${service.metadata.name}`) ?? noSlices;
    const endpoints = endpointsOf(slices, options, remembered);
    allWarnings.push(...endpoints.warnings);
    for (const port of ports) {
      const granted = settlement.granted.get(port);
      if (granted === undefined) continue;
      const all = endpoints.byPort.get(endpointsKey(port.portName, port.protocol)) ?? noEndpoints;
      endpointCount += all.length;
      servicePorts.push(servicePortOf(granted, all, location, remembered));
    }
  }
  return {
    family: options.family,
    masqueradeMark: 2 ** options.masqueradeBit,
    masqueradeAll: options.masqueradeAll,
    ...(options.localDetector === undefined ? {} : { localDetector: options.localDetector }),
    nodePortAddresses: options.nodePortAddresses,
    localhostNodePorts: options.localhostNodePorts,
    dropInvalid: options.dropInvalid,
    serviceCIDRs: serviceCIDRsOf(state, options.family),
    servicePorts: servicePorts.sort(byName),
    isLargeCluster: endpointCount > largeClusterEndpoints,
    warnings: allWarnings,
  };
}

/** What was computed under one set of options. */
interface Memory {
  readonly unresolved: WeakMap<Service, UnresolvedPorts>;
  readonly endpoints: WeakMap<readonly EndpointSlice[], ServiceEndpoints>;
  readonly resolved: WeakMap<UnresolvedPort, ServicePort>;
  readonly claims: WeakMap<readonly Service[], Claims>;
  location: Location;
}

interface Claims {
  readonly claimants: readonly Claimant[];
  readonly settlement: Settlement;
  readonly warnings: readonly Warning[];
}

const memories = new WeakMap<ModelOptions, Memory>();

function memoryFor(options: ModelOptions): Memory {
  const existing = memories.get(options);
  if (existing !== undefined) return existing;
  const memory: Memory = {
    unresolved: new WeakMap(),
    endpoints: new WeakMap(),
    resolved: new WeakMap(),
    claims: new WeakMap(),
    location: { nodeName: options.nodeName, zone: '' },
  };
  memories.set(options, memory);
  return memory;
}

function claimsOf(services: readonly Service[], options: ModelOptions, memory: Memory): Claims {
  const known = memory.claims.get(services);
  if (known !== undefined) return known;
  const warnings: Warning[] = [];
  const claimants = services.map((service) => {
    const unresolved = memory.unresolved.get(service) ?? unresolvedPorts(service, options);
    memory.unresolved.set(service, unresolved);
    warnings.push(...unresolved.warnings);
    return { service, ports: unresolved.ports };
  });
  const settlement = settleClaims(claimants);
  const claims = { claimants, settlement, warnings: [...warnings, ...settlement.warnings] };
  memory.claims.set(services, claims);
  return claims;
}

/** The same object until the zone changes: resolved ports are valid for one location. */
function locationOf(state: ClusterState, options: ModelOptions, memory: Memory): Location {
  const zone = state.node?.metadata.labels?.[zoneLabel] ?? '';
  if (memory.location.zone !== zone) memory.location = { nodeName: options.nodeName, zone };
  return memory.location;
}

function endpointsOf(slices: readonly EndpointSlice[], options: ModelOptions, memory: Memory): ServiceEndpoints {
  const known = memory.endpoints.get(slices);
  if (known !== undefined) return known;
  const endpoints = serviceEndpoints(slices, options.family, options.nodeName);
  memory.endpoints.set(slices, endpoints);
  return endpoints;
}

const locations = new WeakMap<ServicePort, Location>();

function servicePortOf(
  port: UnresolvedPort,
  all: readonly Endpoint[],
  location: Location,
  memory: Memory,
): ServicePort {
  const known = memory.resolved.get(port);
  if (known !== undefined && locations.get(known) === location && sameEndpoints(known.allEndpoints, all)) return known;
  const resolved = resolve(port, all, location);
  memory.resolved.set(port, resolved);
  locations.set(resolved, location);
  return resolved;
}

/** A slice that was rewritten without a change that matters leaves the service port as it is. */
function sameEndpoints(left: readonly Endpoint[], right: readonly Endpoint[]): boolean {
  if (left === right) return true;
  return (
    left.length === right.length &&
    left.every((endpoint, index) => {
      const other = right[index];
      return other !== undefined && (endpoint === other || sameEndpoint(endpoint, other));
    })
  );
}

function sameEndpoint(left: Endpoint, right: Endpoint): boolean {
  return (
    left.key === right.key &&
    left.isLocal === right.isLocal &&
    left.isReady === right.isReady &&
    left.isServing === right.isServing &&
    left.isTerminating === right.isTerminating &&
    left.nodeName === right.nodeName &&
    left.pod === right.pod &&
    sameNames(left.zoneHints, right.zoneHints) &&
    sameNames(left.nodeHints, right.nodeHints)
  );
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index]);
}

function serviceCIDRsOf(state: ClusterState, family: IPFamily): readonly string[] {
  const cidrs = state.serviceCIDRs.flatMap((object) => object.spec?.cidrs ?? []).map(parseCidr);
  const own = cidrs.flatMap((cidr) => (cidr?.family === family ? [cidr.text] : []));
  return [...new Set(own)].sort();
}

function byName(left: ServicePort, right: ServicePort): number {
  return (
    compare(left.namespace, right.namespace) ||
    compare(left.name, right.name) ||
    compare(left.portName, right.portName) ||
    compare(left.protocol, right.protocol)
  );
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
