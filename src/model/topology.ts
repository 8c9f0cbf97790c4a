import { byKey } from './endpoints.ts';
import type { Endpoint, LeftOutEndpoint, ServicePort, Verdict } from './model.ts';
import type { UnresolvedPort } from './unresolved-port.ts';

/** Where this proxy runs, as topology hints name it. */
export interface Location {
  readonly nodeName: string;
  /** Value of the node's zone label; empty when it has none, which matches no hint. */
  readonly zone: string;
}

/** One empty list for all service ports: most have several, and thousands of empty arrays weigh megabytes. */
const none: readonly never[] = [];

type Mode = 'none' | 'same node' | 'same zone';

/** Chooses the endpoints of a service port and what becomes of its traffic. */
export function resolve(port: UnresolvedPort, all: readonly Endpoint[], location: Location): ServicePort {
  const isExternal = port.nodePort !== undefined || port.externalIPs.length > 0 || port.loadBalancerIPs.length > 0;
  const usesClusterEndpoints = port.internalPolicy === 'Cluster' || isExternal;
  const usesLocalEndpoints = port.internalPolicy === 'Local' || (port.externalPolicy === 'Local' && isExternal);

  const mode = topologyMode(all, location);
  const clusterEndpoints = usesClusterEndpoints ? clusterEndpointsOf(all, mode, location) : none;
  const localEndpoints = usesLocalEndpoints ? localEndpointsOf(all) : none;
  const hasEndpoints = clusterEndpoints.length > 0 || (usesLocalEndpoints && all.some(canServe));
  const verdict = (policy: 'Cluster' | 'Local'): Verdict => {
    if (!hasEndpoints) return 'reject';
    return policy === 'Local' && localEndpoints.length === 0 ? 'drop' : 'dnat';
  };
  const leftOut = [
    ...(usesClusterEndpoints ? leftOutOfCluster(all, clusterEndpoints, mode) : none),
    ...(usesLocalEndpoints ? leftOutOfLocal(all, localEndpoints) : none),
  ];
  const resolved = {
    isExternal,
    hasEndpoints,
    internalVerdict: verdict(port.internalPolicy),
    externalVerdict: verdict(port.externalPolicy),
    clusterEndpoints,
    localEndpoints,
    reachableEndpoints: union(clusterEndpoints, localEndpoints),
    allEndpoints: all,
    leftOut: leftOut.length === 0 ? none : leftOut,
  };
  // V8 gives each copy by spreading of an object this wide a hidden class of its own, larger than the object.
  return Object.assign(resolved, port);
}

/** Hints count only when every ready endpoint has them and one of them names this node, or this zone. */
function topologyMode(all: readonly Endpoint[], { nodeName, zone }: Location): Mode {
  const ready = all.filter((endpoint) => endpoint.isReady);
  if (ready.length === 0) return 'none';
  const allHaveNodes = ready.every((endpoint) => endpoint.nodeHints.length > 0);
  if (allHaveNodes && ready.some((endpoint) => endpoint.nodeHints.includes(nodeName))) return 'same node';
  const allHaveZones = ready.every((endpoint) => endpoint.zoneHints.length > 0);
  if (allHaveZones && zone !== '' && ready.some((endpoint) => endpoint.zoneHints.includes(zone))) return 'same zone';
  return 'none';
}

function clusterEndpointsOf(all: readonly Endpoint[], mode: Mode, { nodeName, zone }: Location): readonly Endpoint[] {
  const available = all.filter((endpoint) => {
    if (!endpoint.isReady) return false;
    if (mode === 'same node') return endpoint.nodeHints.includes(nodeName);
    return mode === 'none' || endpoint.zoneHints.includes(zone);
  });
  if (available.length === all.length) return all;
  // Better a pod that is about to leave than nobody.
  return available.length > 0 ? available : all.filter(isServingTerminating);
}

function localEndpointsOf(all: readonly Endpoint[]): readonly Endpoint[] {
  const local = all.filter((endpoint) => endpoint.isLocal);
  const ready = local.filter((endpoint) => endpoint.isReady);
  return ready.length > 0 ? ready : local.filter(isServingTerminating);
}

function canServe(endpoint: Endpoint): boolean {
  return endpoint.isReady || isServingTerminating(endpoint);
}

function isServingTerminating(endpoint: Endpoint): boolean {
  return endpoint.isServing && endpoint.isTerminating;
}

function union(left: readonly Endpoint[], right: readonly Endpoint[]): readonly Endpoint[] {
  if (right.length === 0) return left;
  const missing = missingFrom(left, right);
  return missing.length === 0 ? left : [...left, ...missing].toSorted(byKey);
}

function leftOutOfCluster(all: readonly Endpoint[], used: readonly Endpoint[], mode: Mode): LeftOutEndpoint[] {
  return missingFrom(used, all).map((endpoint) => {
    const elsewhere = mode === 'same node' ? 'other node' : 'other zone';
    return { endpoint, from: 'cluster', why: endpoint.isReady ? elsewhere : unreadiness(endpoint) };
  });
}

function leftOutOfLocal(all: readonly Endpoint[], used: readonly Endpoint[]): LeftOutEndpoint[] {
  return missingFrom(used, all).map((endpoint) => ({
    endpoint,
    from: 'local',
    why: endpoint.isLocal ? unreadiness(endpoint) : 'not local',
  }));
}

function missingFrom(used: readonly Endpoint[], all: readonly Endpoint[]): readonly Endpoint[] {
  const chosen = new Set(used);
  return all.filter((endpoint) => !chosen.has(endpoint));
}

function unreadiness(endpoint: Endpoint): 'terminating' | 'not ready' {
  return endpoint.isTerminating ? 'terminating' : 'not ready';
}
