import { servicePortName } from '../model/model.ts';
import type { Endpoint, LocalDetector, ProxyModel, ServicePort } from '../model/model.ts';
import type { IPFamily } from '../source/objects.ts';
import { classChain, classKinds, endpointNames, endpointsMap, ruleProtocols, servicePortChains } from './names.ts';
import type { ClassKind, RuleProtocol } from './names.ts';
import { outermostRanges } from './ranges.ts';

/** A class chain that some service port needs. */
export interface ClassUse {
  readonly kind: ClassKind;
  readonly count: number;
}

/** What decides about the chains of a service port besides the service port itself. */
export interface Surroundings {
  readonly mark: string;
  readonly hasPods: boolean;
  /** Exactly one of the two tells pods apart, when anything does. */
  readonly podRange: string;
  readonly podInterface: string;
}

/** What the model says beside its service ports. */
export function surroundingsOf(model: ProxyModel): Surroundings {
  const mark = `0x${model.masqueradeMark.toString(16).padStart(8, '0')}`;
  return { mark, ...podsOf(model.localDetector) };
}

/** Holes of `nftables/table`, apart from what service ports fill, except for the maps of endpoints. */
export function tableContext(model: ProxyModel, classes: readonly ClassUse[], elementsOf: (name: string) => string) {
  const surroundings = surroundingsOf(model);
  const { nodePortAddresses } = model;
  return {
    ...surroundings,
    ...familyOf(model.family),
    loopback: model.family === 'IPv6' ? '::1' : '127.0.0.0/8',
    masqueradesAll: model.masqueradeAll,
    masqueradesOutside: !model.masqueradeAll && surroundings.hasPods,
    hasNodePortAddresses: nodePortAddresses !== 'all',
    nodePortAddresses: nodePortAddresses === 'all' ? '' : joined(nodePortAddresses),
    serviceCIDRs: outermostRanges(model.serviceCIDRs).map((cidr) => ({ ...familyOf(model.family), cidr })),
    endpointMaps: classKinds.flatMap((kind) =>
      ruleProtocols.map((protocol) => {
        const map = endpointsMap(kind, protocol);
        return {
          ...at(model.family, kind, protocol),
          comment: `${endpointsComments[kind]} by slot`,
          elements: elementsOf(map),
        };
      }),
    ),
    classes: classes.map(({ kind, count }) => ({
      chain: classChain(kind, count),
      rules: ruleProtocols.map((protocol) => ({
        ...at(model.family, kind, protocol),
        count: String(count),
        hasFallback: count > 1,
      })),
    })),
  };
}

const endpointsComments: Readonly<Record<ClassKind, string>> = {
  class: 'endpoints of ClusterIPs, ExternalIPs and LoadBalancer IPs',
  'class-local': 'local endpoints of ExternalIPs and LoadBalancer IPs',
  'class-nodeport': 'endpoints of NodePorts',
  'class-nodeport-local': 'local endpoints of NodePorts',
};

function at(family: IPFamily, kind: ClassKind, protocol: RuleProtocol) {
  const hasAddress = kind === 'class' || kind === 'class-local';
  return { ...familyOf(family), protocol, hasAddress, map: endpointsMap(kind, protocol) };
}

/** Elements as a set or map lists them. */
export function joined(elements: readonly string[]): string {
  return elements.join(',\n\t\t\t     ');
}

/** Holes of `nftables/service-port-elements`. */
export function elementsContext(port: ServicePort) {
  const protocol = ruleProtocol(port);
  const external = externalAddresses(port);
  const at = (address: string) => ({ address, protocol, port: String(port.port) });
  const guarded = port.sourceRanges === undefined ? [] : external.filter((ip) => port.loadBalancerIPs.includes(ip));
  const admitted = guarded.length === 0 ? [] : admittedRanges(port);
  const refusesExternal = port.externalVerdict !== 'dnat';
  const served = port.hasEndpoints ? external : [];
  const steps = externalSteps(port);
  const internal = port.internalVerdict === 'dnat' ? [port.clusterIP] : [];
  const isRefused = { name: servicePortName(port).slice(0, maxComment), drops: port.externalVerdict === 'drop' };
  return {
    clusterIP: port.clusterIP,
    hairpins: port.reachableEndpoints
      .filter((endpoint) => endpoint.isLocal)
      .map((endpoint) => ({ address: endpoint.address, protocol, port: String(endpoint.port) })),
    serviceIPs: [
      ...internal.map((ip) => ({ ...at(ip), chain: internalChain(port) })),
      ...served.map((ip) => ({ ...at(ip), chain: steps.first })),
    ],
    endpoints: [
      ...internal.flatMap((ip) => slots(port, 'class', ip, hasAffinity(port) ? [] : internalEndpoints(port))),
      ...served.flatMap((ip) => slots(port, 'class', ip, steps.cluster)),
      ...served.flatMap((ip) => slots(port, 'class-local', ip, steps.local)),
      ...nodePortSlots(port),
    ],
    clusterClasses: steps.cluster.length === 0 ? [] : served.map((ip) => ({ ...at(ip), chain: steps.clusterChain })),
    localClasses: steps.local.length === 0 ? [] : served.map((ip) => ({ ...at(ip), chain: steps.localChain })),
    noEndpointServices: [
      ...(internal.length === 0
        ? [{ ...at(port.clusterIP), ...isRefused, drops: port.internalVerdict === 'drop' }]
        : []),
      ...(refusesExternal ? external.map((ip) => ({ ...at(ip), ...isRefused })) : []),
    ],
    firewallIPs: guarded.map(at),
    sourceRanges: guarded.flatMap((ip) => admitted.map((source) => ({ source, ...at(ip) }))),
    ...nodePortContext(port, { protocol, isRefused, refusesExternal }),
  };
}

/** nft refuses longer comments. */
const maxComment = 128;

function nodePortContext(
  port: ServicePort,
  answer: {
    readonly protocol: string;
    readonly isRefused: { readonly name: string; readonly drops: boolean };
    readonly refusesExternal: boolean;
  },
) {
  const steps = nodePortSteps(port);
  const at = { protocol: answer.protocol, port: String(port.nodePort ?? '') };
  const hasNodePort = port.nodePort !== undefined;
  const isServed = hasNodePort && port.hasEndpoints;
  const once = <T>(condition: boolean, value: T): T[] => (condition ? [value] : []);
  return {
    nodePortVerdicts: once(isServed, { ...at, chain: steps.first }),
    nodePortClusterClasses: once(isServed && steps.cluster.length > 0, { ...at, chain: steps.clusterChain }),
    nodePortLocalClasses: once(isServed && steps.local.length > 0, { ...at, chain: steps.localChain }),
    noEndpointNodePorts: once(hasNodePort && answer.refusesExternal, { ...at, ...answer.isRefused }),
  };
}

/**
 * The class chains that a service port's elements lead to. Few combinations exist, each is one array, so that they
 * can be told apart by reference.
 */
export function classesOf(port: ServicePort): readonly ClassUse[] {
  const uses = usesOf(port);
  const key = uses.map(({ kind, count }) => classChain(kind, count)).join();
  const known = classCombinations.get(key);
  if (known !== undefined) return known;
  classCombinations.set(key, uses);
  return uses;
}

const classCombinations = new Map<string, readonly ClassUse[]>();

function usesOf(port: ServicePort): readonly ClassUse[] {
  if (hasAffinity(port)) return [];
  const uses: ClassUse[] = [];
  const use = (kind: ClassKind, { length: count }: readonly Endpoint[]) => {
    if (count > 0) uses.push(classUse(kind, count));
  };
  if (port.internalVerdict === 'dnat') use('class', internalEndpoints(port));
  if (!port.hasEndpoints) return uses;
  const isLocal = port.externalPolicy === 'Local';
  if (externalAddresses(port).length > 0) {
    use('class', port.clusterEndpoints);
    if (isLocal) use('class-local', port.localEndpoints);
  }
  if (port.nodePort !== undefined) {
    use('class-nodeport', port.clusterEndpoints);
    if (isLocal) use('class-nodeport-local', port.localEndpoints);
  }
  return uses;
}

const classUses = new Map<string, ClassUse>();

/** One object for each class, so that classes can be compared by reference. There are as many as Services have sizes. */
function classUse(kind: ClassKind, count: number): ClassUse {
  const chain = classChain(kind, count);
  const known = classUses.get(chain);
  if (known !== undefined) return known;
  const use = { kind, count };
  classUses.set(chain, use);
  return use;
}

/** Whether a service port has chains and sets of its own, since clients stay on their endpoints. */
export function hasAffinity(port: ServicePort): boolean {
  return port.affinityTimeoutSeconds !== undefined;
}

/** Holes of `nftables/affinity-sets` and `nftables/affinity-chains`. */
export function affinityContext(port: ServicePort, surroundings: Surroundings) {
  const chains = servicePortChains(port);
  const isLocalExternal = port.externalPolicy === 'Local';
  const common = {
    ...familyOf(port.family),
    protocol: port.protocol.toLowerCase(),
    timeout: printedTime(port.affinityTimeoutSeconds ?? 0),
  };
  const context = (endpoint: Endpoint) => {
    const { chain, set } = endpointNames(port, endpoint);
    return { ...common, endpointChain: chain, affinitySet: set, endpoint: endpoint.key };
  };
  const policies = [
    { chain: chains.cluster, endpoints: port.clusterEndpoints },
    { chain: chains.local, endpoints: port.localEndpoints },
  ].filter(({ endpoints }) => endpoints.length > 0);
  return {
    ...surroundings,
    ...familyOf(port.family),
    endpoints: port.reachableEndpoints.map(context),
    policies: policies.map(({ chain, endpoints }) => ({
      chain,
      // One of those that are left: all of them are chosen evenly.
      endpoints: endpoints.map((endpoint, index) => ({
        ...context(endpoint),
        left: String(endpoints.length - index),
        isLast: index === endpoints.length - 1,
      })),
    })),
    hasExternal: port.hasEndpoints && port.isExternal,
    keepsSource: isLocalExternal,
    servesExternal: port.externalVerdict === 'dnat',
    externalChain: chains.external,
    clusterChain: chains.cluster,
    externalPolicyChain: isLocalExternal ? chains.local : chains.cluster,
  };
}

function familyOf(family: IPFamily): { readonly ip: string; readonly addressType: string } {
  return family === 'IPv6' ? { ip: 'ip6', addressType: 'ipv6_addr' } : { ip: 'ip', addressType: 'ipv4_addr' };
}

function podsOf(detector: LocalDetector | undefined): Omit<Surroundings, 'mark'> {
  switch (detector?.kind) {
    case undefined:
      return { hasPods: false, podRange: '', podInterface: '' };
    case 'cidr':
      return { hasPods: true, podRange: detector.cidr, podInterface: '' };
    case 'interface':
      return { hasPods: true, podRange: '', podInterface: detector.name };
    case 'interface-prefix':
      return { hasPods: true, podRange: '', podInterface: `${detector.prefix}*` };
  }
}

/** Each address once. One that is the cluster IP too is served as that, as in iptables mode. */
function externalAddresses(port: ServicePort): readonly string[] {
  if (port.externalIPs.length + port.loadBalancerIPs.length === 0) return [];
  const addresses = new Set([...port.externalIPs, ...port.loadBalancerIPs]);
  addresses.delete(port.clusterIP);
  return [...addresses];
}

function internalEndpoints(port: ServicePort): readonly Endpoint[] {
  return port.internalPolicy === 'Local' ? port.localEndpoints : port.clusterEndpoints;
}

function internalChain(port: ServicePort): string {
  if (!hasAffinity(port)) return classChain('class', internalEndpoints(port).length);
  const chains = servicePortChains(port);
  return port.internalPolicy === 'Local' ? chains.local : chains.cluster;
}

/** Where traffic from outside goes first, and which endpoints it may then get by which class. */
interface ExternalSteps {
  readonly first: string;
  readonly clusterChain: string;
  readonly localChain: string;
  readonly cluster: readonly Endpoint[];
  readonly local: readonly Endpoint[];
}

function externalSteps(port: ServicePort): ExternalSteps {
  return stepsThrough(port, { first: 'class-external', cluster: 'class', local: 'class-local' });
}

function nodePortSteps(port: ServicePort): ExternalSteps {
  return stepsThrough(port, {
    first: 'class-nodeport-external',
    cluster: 'class-nodeport',
    local: 'class-nodeport-local',
  });
}

function stepsThrough(
  port: ServicePort,
  through: { readonly first: string; readonly cluster: ClassKind; readonly local: ClassKind },
): ExternalSteps {
  if (hasAffinity(port)) {
    return { first: servicePortChains(port).external, clusterChain: '', localChain: '', cluster: [], local: [] };
  }
  const isLocal = port.externalPolicy === 'Local';
  return {
    first: isLocal ? `${through.first}-local` : through.first,
    clusterChain: classChain(through.cluster, port.clusterEndpoints.length),
    localChain: classChain(through.local, port.localEndpoints.length),
    cluster: port.clusterEndpoints,
    local: isLocal ? port.localEndpoints : [],
  };
}

function ruleProtocol(port: ServicePort): RuleProtocol {
  return port.protocol === 'UDP' ? 'udp' : port.protocol === 'SCTP' ? 'sctp' : 'tcp';
}

/** Elements of a map of endpoints; an empty address for node ports. */
function slots(port: ServicePort, kind: ClassKind, address: string, endpoints: readonly Endpoint[]) {
  const map = endpointsMap(kind, ruleProtocol(port));
  const dialled = String(address === '' ? (port.nodePort ?? '') : port.port);
  return endpoints.map((endpoint, slot) => ({
    map,
    address,
    port: dialled,
    slot: String(slot),
    endpointAddress: endpoint.address,
    endpointPort: String(endpoint.port),
  }));
}

function nodePortSlots(port: ServicePort) {
  if (port.nodePort === undefined || !port.hasEndpoints) return [];
  const { cluster, local } = nodePortSteps(port);
  return [...slots(port, 'class-nodeport', '', cluster), ...slots(port, 'class-nodeport-local', '', local)];
}

function admittedRanges(port: ServicePort): readonly string[] {
  // A node that holds the load balancer addresses sends its own packets from one of them, whichever it dials.
  return outermostRanges([...(port.sourceRanges ?? []), ...(port.sourceRangesCoverNode ? port.loadBalancerIPs : [])]);
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** Seconds as nft prints them: 5400 is `1h30m`. */
function printedTime(seconds: number): string {
  let rest = seconds;
  let text = '';
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}
