import { servicePortName } from '../model/model.ts';
import type { Endpoint, LocalDetector, ProxyModel, ServicePort } from '../model/model.ts';
import { servicePortChains } from './names.ts';
import type { ServicePortChains } from './names.ts';
import { printedProbability } from './probability.ts';

/** What decides about the rules of a service port besides the service port itself. */
export interface Surroundings {
  readonly masqueradeAll: boolean;
  readonly localDetector?: LocalDetector;
  /** Rules per endpoint name the Service. */
  readonly hasEndpointComments: boolean;
  /** Write the rules that count packets for node ports on localhost. */
  readonly countsLocalhost: boolean;
}

/** The packet counters that rules may name; they are objects of the kernel, made with nfacct. */
export const iptablesCounters = ['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts'] as const;

const [invalidCounter, localhostCounter] = iptablesCounters;

/** `counters`: the host has the packet counters that rules may name. */
export function surroundingsOf(model: ProxyModel, options: { readonly counters: boolean }): Surroundings {
  return {
    masqueradeAll: model.masqueradeAll,
    ...(model.localDetector === undefined ? {} : { localDetector: model.localDetector }),
    hasEndpointComments: !model.isLargeCluster,
    countsLocalhost: options.counters && model.localhostNodePorts,
  };
}

/** Holes of `iptables/nat`, apart from what the service ports fill. */
export function natContext(model: ProxyModel) {
  const all = model.nodePortAddresses === 'all';
  return {
    mark: `0x${model.masqueradeMark.toString(16)}`,
    nodePortAddresses:
      model.nodePortAddresses === 'all'
        ? []
        : model.nodePortAddresses.map((address) => ({ address: host(address, model.family) })),
    acceptsAllAddresses: all,
    loopback: model.family === 'IPv6' ? '::1/128' : model.localhostNodePorts ? '' : '127.0.0.0/8',
  };
}

/** Holes of `iptables/filter`, apart from what the service ports fill. */
export function filterContext(model: ProxyModel, options: { readonly counters: boolean }) {
  return {
    mark: `0x${model.masqueradeMark.toString(16)}`,
    guardsLocalhost: model.localhostNodePorts,
    dropsInvalid: model.dropInvalid,
    invalidCounter: options.counters ? invalidCounter : '',
  };
}

/** Holes of `iptables/service-port-nat`. */
export function natServicePortContext(port: ServicePort, surroundings: Surroundings) {
  const chains = servicePortChains(port);
  const { name, protocol, port: number } = captureOf(port);
  const pods = podsOf(surroundings.localDetector);
  const servesClusterIP = port.internalVerdict === 'dnat';
  const usesExternal = usesExternalChain(port);
  const isLocalExternal = port.externalPolicy === 'Local';
  const captured = (address: string, chain: string) => ({
    name,
    protocol,
    port: number,
    address: host(address, port.family),
    chain,
  });
  const hasFirewall = usesFirewallChain(port);
  const servesNodePort = port.nodePort !== undefined && port.hasEndpoints;
  return {
    name,
    protocol,
    port: number,
    chains: chainsOf(port, chains).map((chain) => ({ chain })),
    clusterIP: host(port.clusterIP, port.family),
    nodePort: String(port.nodePort ?? ''),
    internalChain: port.internalPolicy === 'Local' ? chains.local : chains.cluster,
    clusterChain: chains.cluster,
    externalChain: chains.external,
    firewallChain: chains.firewall,
    externalPolicyChain: isLocalExternal ? chains.local : chains.cluster,
    servesClusterIP,
    externalIPs: port.hasEndpoints ? port.externalIPs.map((ip) => captured(ip, chains.external)) : [],
    loadBalancerIPs: port.hasEndpoints
      ? port.loadBalancerIPs.map((ip) => captured(ip, hasFirewall ? chains.firewall : chains.external))
      : [],
    servesNodePort,
    localhostCounter: servesNodePort && surroundings.countsLocalhost ? localhostCounter : '',
    masqueradesClusterIP: servesClusterIP && (surroundings.masqueradeAll || pods.podSource),
    keptRange: surroundings.masqueradeAll ? '' : pods.podRange,
    keptInterface: surroundings.masqueradeAll ? '' : pods.podInterface,
    podSource: pods.podSource,
    podRange: pods.podRange,
    podInterface: pods.podInterface,
    masqueradesExternal: usesExternal && !isLocalExternal,
    keepsExternalSource: usesExternal && isLocalExternal,
    servesExternal: usesExternal && port.externalVerdict === 'dnat',
    allowedSources: hasFirewall ? allowedSources(port, chains, name) : [],
    hasFirewall,
    affinities: affinityContexts(port, chains, surroundings),
    choices: choiceContexts(port, chains, surroundings),
    endpoints: endpointContexts(port, chains, surroundings),
  };
}

/** Whether a service port has any rule in the filter table: most have none. */
export function hasFilterRules(port: ServicePort): boolean {
  const refuses = port.internalVerdict !== 'dnat' || port.externalVerdict !== 'dnat';
  return refuses || usesFirewallChain(port) || port.healthCheckNodePort !== undefined;
}

/** Holes of `iptables/service-port-filter`. */
export function filterServicePortContext(port: ServicePort) {
  const captured = captureOf(port);
  const refusesExternal = port.externalVerdict !== 'dnat';
  const answer = port.family === 'IPv6' ? 'icmp6-port-unreachable' : 'icmp-port-unreachable';
  const dropsExternal = port.externalVerdict === 'drop';
  const reason = (drops: boolean) => (drops ? 'has no local endpoints' : 'has no endpoints');
  const outside = [...port.externalIPs, ...port.loadBalancerIPs];
  return {
    ...captured,
    clusterIP: host(port.clusterIP, port.family),
    nodePort: String(port.nodePort ?? ''),
    answer,
    refusesClusterIP: port.internalVerdict !== 'dnat',
    dropsInternal: port.internalVerdict === 'drop',
    internalReason: reason(port.internalVerdict === 'drop'),
    dropsExternal,
    externalReason: reason(dropsExternal),
    refusedAddresses: refusesExternal
      ? outside.map((address) => ({
          ...captured,
          address: host(address, port.family),
          drops: dropsExternal,
          reason: reason(dropsExternal),
          answer,
        }))
      : [],
    guardedAddresses: usesFirewallChain(port)
      ? port.loadBalancerIPs.map((address) => ({
          ...captured,
          address: host(address, port.family),
          firewallChain: servicePortChains(port).firewall,
        }))
      : [],
    refusesNodePort: port.nodePort !== undefined && refusesExternal,
    healthCheckNodePort: String(port.healthCheckNodePort ?? ''),
  };
}

/** The chains that exist for a service port, callees before callers. */
function chainsOf(port: ServicePort, chains: ServicePortChains): string[] {
  const names = [...chains.endpoints.values()];
  if (port.clusterEndpoints.length > 0) names.push(chains.cluster);
  if (port.localEndpoints.length > 0) names.push(chains.local);
  if (usesExternalChain(port)) names.push(chains.external);
  if (usesFirewallChain(port)) names.push(chains.firewall);
  return names;
}

function captureOf(port: ServicePort): { name: string; protocol: string; port: string } {
  return { name: servicePortName(port), protocol: port.protocol.toLowerCase(), port: String(port.port) };
}

function usesExternalChain(port: ServicePort): boolean {
  return port.hasEndpoints && port.isExternal;
}

function usesFirewallChain(port: ServicePort): boolean {
  return port.hasEndpoints && port.loadBalancerIPs.length > 0 && port.sourceRanges !== undefined;
}

function podsOf(detector: LocalDetector | undefined): { podSource: boolean; podRange: string; podInterface: string } {
  switch (detector?.kind) {
    case undefined:
      return { podSource: false, podRange: '', podInterface: '' };
    case 'cidr':
      return { podSource: true, podRange: detector.cidr, podInterface: '' };
    case 'interface':
      return { podSource: true, podRange: '', podInterface: detector.name };
    case 'interface-prefix':
      return { podSource: true, podRange: '', podInterface: `${detector.prefix}+` };
  }
}

function allowedSources(port: ServicePort, chains: ServicePortChains, name: string) {
  // The kernel routes a node's own packets to a load balancer address over loopback: their source is the address.
  const own = port.sourceRangesCoverNode ? port.loadBalancerIPs.map((ip) => host(ip, port.family)) : [];
  return [...(port.sourceRanges ?? []), ...own].map((source) => ({
    source,
    name,
    externalChain: chains.external,
    firewallChain: chains.firewall,
  }));
}

/** One rule for each endpoint of each policy chain: a client that came before goes where it went. */
function affinityContexts(port: ServicePort, chains: ServicePortChains, { hasEndpointComments }: Surroundings) {
  if (port.affinityTimeoutSeconds === undefined) return [];
  const seconds = String(port.affinityTimeoutSeconds);
  const name = servicePortName(port);
  return policies(port, chains).flatMap(({ chain, endpoints }) =>
    endpoints.map(({ key }) => ({
      name,
      hasComment: hasEndpointComments,
      endpoint: key,
      endpointChain: chains.endpoints.get(key) ?? '',
      chain,
      mask: wholeAddressMask(port),
      seconds,
    })),
  );
}

/** One rule for each endpoint of each policy chain: chosen with a probability that makes all equal; the last always. */
function choiceContexts(port: ServicePort, chains: ServicePortChains, { hasEndpointComments }: Surroundings) {
  const name = servicePortName(port);
  return policies(port, chains).flatMap(({ chain, endpoints }) =>
    endpoints.map(({ key }, index) => ({
      name,
      hasComment: hasEndpointComments,
      endpoint: key,
      endpointChain: chains.endpoints.get(key) ?? '',
      chain,
      probability: index === endpoints.length - 1 ? '' : printedProbability(endpoints.length - index),
    })),
  );
}

function endpointContexts(port: ServicePort, chains: ServicePortChains, { hasEndpointComments }: Surroundings) {
  const name = servicePortName(port);
  const protocol = port.protocol.toLowerCase();
  return port.reachableEndpoints.map(({ key, address }) => ({
    name,
    protocol,
    hasComment: hasEndpointComments,
    endpoint: key,
    endpointChain: chains.endpoints.get(key) ?? '',
    address: host(address, port.family),
    hasAffinity: port.affinityTimeoutSeconds !== undefined,
    mask: wholeAddressMask(port),
  }));
}

function policies(
  port: ServicePort,
  chains: ServicePortChains,
): readonly { readonly chain: string; readonly endpoints: readonly Endpoint[] }[] {
  const cluster = { chain: chains.cluster, endpoints: port.clusterEndpoints };
  return port.localEndpoints.length === 0
    ? [cluster]
    : [cluster, { chain: chains.local, endpoints: port.localEndpoints }];
}

function wholeAddressMask({ family }: ServicePort): string {
  return family === 'IPv6' ? 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' : '255.255.255.255';
}

/** A single address as the tools print it. */
function host(address: string, family: ServicePort['family']): string {
  return family === 'IPv6' ? `${address}/128` : `${address}/32`;
}
