import { parseCidr } from '../source/address.ts';
import type { ClusterState, EndpointSlice, IPFamily, Service } from '../source/objects.ts';
import { ClaimRegister, settleClaims } from './claims.ts';
import type { Claimant } from './claims.ts';
import { endpointsKey, serviceEndpoints } from './endpoints.ts';
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
  const memory = memoryFor(options);
  const { served, warnings } = claimsOf(state.services, options, memory);
  const location = locationOf(state, options, memory);
  const servicePorts: ServicePort[] = [];
  const allWarnings: Warning[] = [...warnings];
  let endpointCount = 0;
  for (const one of served) {
    const slices = state.slices.get(one.key) ?? noSlices;
    if (one.slices !== slices || one.location !== location) resolveServed(one, slices, location, options);
    for (const port of one.resolved) servicePorts.push(port);
    if (one.warnings.length > 0) allWarnings.push(...one.warnings);
    endpointCount += one.endpointCount;
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
    servicePorts,
    isLargeCluster: endpointCount > largeClusterEndpoints,
    warnings: allWarnings,
  };
}

/** A Service with what it may serve, and what was last made of it. */
interface Served {
  readonly namespace: string;
  readonly name: string;
  /** `namespace/name`. */
  readonly key: string;
  readonly ports: readonly UnresolvedPort[];
  slices: readonly EndpointSlice[] | undefined;
  location: Location | undefined;
  resolved: readonly ServicePort[];
  endpointCount: number;
  warnings: readonly Warning[];
}

interface Claims {
  /** Sorted as the service ports of the model are. */
  readonly served: readonly Served[];
  readonly warnings: readonly Warning[];
}

/** What was computed under one set of options. */
interface Memory {
  readonly unresolved: WeakMap<Service, UnresolvedPorts>;
  readonly served: WeakMap<Service, Served>;
  readonly claims: WeakMap<readonly Service[], Claims>;
  readonly register: ClaimRegister;
  location: Location;
}

const memories = new WeakMap<ModelOptions, Memory>();

function memoryFor(options: ModelOptions): Memory {
  const existing = memories.get(options);
  if (existing !== undefined) return existing;
  const memory: Memory = {
    unresolved: new WeakMap(),
    served: new WeakMap(),
    claims: new WeakMap(),
    register: new ClaimRegister(),
    location: { nodeName: options.nodeName, zone: '' },
  };
  memories.set(options, memory);
  return memory;
}

function claimsOf(services: readonly Service[], options: ModelOptions, memory: Memory): Claims {
  const known = memory.claims.get(services);
  if (known !== undefined) return known;
  const warnings: Warning[] = [];
  const claimants: Claimant[] = [];
  for (const service of services) {
    let unresolved = memory.unresolved.get(service);
    if (unresolved === undefined) {
      unresolved = unresolvedPorts(service, options);
      memory.unresolved.set(service, unresolved);
    }
    for (const warning of unresolved.warnings) warnings.push(warning);
    if (unresolved.ports.length > 0) claimants.push({ service, ports: unresolved.ports });
  }
  const { granted, warnings: lost } = settleClaims(claimants, memory.register);
  const served = claimants.map(({ service, ports }) => servedOf(service, granted.get(service) ?? ports, memory));
  const claims = { served: sorted(served), warnings: [...warnings, ...lost] };
  memory.claims.set(services, claims);
  return claims;
}

function servedOf(service: Service, ports: readonly UnresolvedPort[], memory: Memory): Served {
  const known = memory.served.get(service);
  if (known?.ports === ports) return known;
  const { namespace = '', name } = service.metadata;
  // Of a key made with a template V8 keeps the pieces beside the whole.
  const key = [namespace, name].join('/');
  const served: Served = {
    namespace,
    name,
    key,
    ports,
    slices: undefined,
    location: undefined,
    resolved: [],
    endpointCount: 0,
    warnings: [],
  };
  memory.served.set(service, served);
  return served;
}

/** By namespace, then name. */
function sorted(served: readonly Served[]): readonly Served[] {
  const isSorted = served.every((one, index) => {
    const before = served[index - 1];
    return before === undefined || byName(before, one) <= 0;
  });
  return isSorted ? served : served.toSorted(byName);
}

function byName(left: Served, right: Served): number {
  return compare(left.namespace, right.namespace) || compare(left.name, right.name);
}

/** The same object until the zone changes: resolved ports are valid for one location. */
function locationOf(state: ClusterState, options: ModelOptions, memory: Memory): Location {
  const zone = state.node?.metadata.labels?.[zoneLabel] ?? '';
  if (memory.location.zone !== zone) memory.location = { nodeName: options.nodeName, zone };
  return memory.location;
}

/** Chooses endpoints anew; service ports for which nothing comes out different stay the same objects. */
function resolveServed(one: Served, slices: readonly EndpointSlice[], location: Location, options: ModelOptions): void {
  const endpoints = serviceEndpoints(slices, options.family, options.nodeName);
  const before = one.location === location ? one.resolved : [];
  one.slices = slices;
  one.location = location;
  one.warnings = endpoints.warnings;
  one.endpointCount = 0;
  one.resolved = one.ports
    .map((port) => {
      const all = endpoints.byPort.get(endpointsKey(port.portName, port.protocol)) ?? noEndpoints;
      one.endpointCount += all.length;
      const known = before.find(({ portName, protocol }) => portName === port.portName && protocol === port.protocol);
      return known !== undefined && sameEndpoints(known.allEndpoints, all) ? known : resolve(port, all, location);
    })
    .sort((left, right) => compare(left.portName, right.portName) || compare(left.protocol, right.protocol));
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

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
