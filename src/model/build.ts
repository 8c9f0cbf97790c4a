import { parseCidr } from '../source/address.ts';
import { byName } from '../source/name-order.ts';
import type { ClusterState, IPFamily, Service } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';
import { ClaimRegister, settleClaims } from './claims.ts';
import type { Claimant } from './claims.ts';
import type { ProxyModel } from './model.ts';
import type { ModelOptions } from './options.ts';
import { Resolver } from './resolver.ts';
import type { Served } from './resolver.ts';
import type { Location } from './topology.ts';
import { unresolvedPorts } from './unresolved-port.ts';
import type { UnresolvedPort, UnresolvedPorts } from './unresolved-port.ts';

const zoneLabel = 'topology.kubernetes.io/zone';
/** Above this many endpoints kube-proxy writes no comments into the rules of single endpoints. */
const largeClusterEndpoints = 1000;

/**
 * All that this node must make true for one family. Work is remembered by the identity of the objects it was done
 * for, so between two snapshots only what changed is computed again, and service ports that did not change are the
 * same objects. Options count by identity too: keep the object while nothing in it changes.
 */
export function buildModel(state: ClusterState, options: ModelOptions): ProxyModel {
  const memory = memoryFor(options);
  const claims = claimsOf(state.services, options, memory);
  const location = locationOf(state, options, memory);
  const { servicePorts, warnings, endpointCount } = memory.resolver.resolve(claims.served, state.slices, location);
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
    warnings: [...claims.warnings, ...warnings],
  };
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
  readonly resolver: Resolver;
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
    resolver: new Resolver(options),
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
  const served = sorted(
    claimants.map(({ service, ports }) => servedOf(service, granted.get(service) ?? ports, memory)),
  );
  const claims = { served, warnings: [...warnings, ...lost] };
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

/** The same object until the zone changes: resolved ports are valid for one location. */
function locationOf(state: ClusterState, options: ModelOptions, memory: Memory): Location {
  const zone = state.node?.metadata.labels?.[zoneLabel] ?? '';
  if (memory.location.zone !== zone) memory.location = { nodeName: options.nodeName, zone };
  return memory.location;
}

function serviceCIDRsOf(state: ClusterState, family: IPFamily): readonly string[] {
  const cidrs = state.serviceCIDRs.flatMap((object) => object.spec?.cidrs ?? []).map(parseCidr);
  const own = cidrs.flatMap((cidr) => (cidr?.family === family ? [cidr.text] : []));
  return [...new Set(own)].sort();
}
