import { servicePortName } from '../model/model.ts';
import type { Endpoint, LocalDetector, ProxyModel, ServicePort } from '../model/model.ts';
import { endpointChain, servicePortChains } from './names.ts';
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

/** The chains that exist for a service port, callees before callers. */
export function chainsContext(port: ServicePort) {
  const chains = servicePortChains(port);
  const names = port.reachableEndpoints.map((endpoint) => endpointChain(port, endpoint));
  if (port.clusterEndpoints.length > 0) names.push(chains.cluster);
  if (port.localEndpoints.length > 0) names.push(chains.local);
  if (usesExternalChain(port)) names.push(chains.external);
  if (usesFirewallChain(port)) names.push(chains.firewall);
  return { chains: names.map((chain) => ({ chain })) };
}

/** Holes of `iptables/service-port-nat` (spec 7.4, 7.5). */
export function natServicePortContext(port: ServicePort, surroundings: Surroundings) {
  const chains = servicePortChains(port);
  const captured = captureOf(port);
  const pods = podsOf(surroundings.localDetector);
  const servesClusterIP = port.internalVerdict === 'dnat';
  const usesExternal = usesExternalChain(port);
  const isLocalExternal = port.externalPolicy === 'Local';
  const external = (address: string, chain: string) => ({ ...captured, address: host(address, port.family), chain });
  const servesNodePort = port.nodePort !== undefined && port.hasEndpoints;
  return {
    ...captured,
    clusterIP: host(port.clusterIP, port.family),
    nodePort: String(port.nodePort ?? ''),
    internalChain: port.internalPolicy === 'Local' ? chains.local : chains.cluster,
    clusterChain: chains.cluster,
    externalChain: chains.external,
    firewallChain: chains.firewall,
    externalPolicyChain: isLocalExternal ? chains.local : chains.cluster,
    servesClusterIP,
    externalIPs: port.hasEndpoints ? port.externalIPs.map((ip) => external(ip, chains.external)) : [],
    loadBalancerIPs: port.hasEndpoints
      ? port.loadBalancerIPs.map((ip) => external(ip, usesFirewallChain(port) ? chains.firewall : chains.external))
      : [],
    servesNodePort,
    localhostCounter: servesNodePort && surroundings.countsLocalhost ? localhostCounter : '',
    masqueradesClusterIP: servesClusterIP && (surroundings.masqueradeAll || pods.podSource),
    keptRange: surroundings.masqueradeAll ? '' : pods.podRange,
    keptInterface: surroundings.masqueradeAll ? '' : pods.podInterface,
    ...pods,
    masqueradesExternal: usesExternal && !isLocalExternal,
    keepsExternalSource: usesExternal && isLocalExternal,
    servesExternal: usesExternal && port.externalVerdict === 'dnat',
    allowedSources: usesFirewallChain(port) ? allowedSources(port, chains, captured.name) : [],
    hasFirewall: usesFirewallChain(port),
    ...endpointContexts(port, chains, surroundings),
  };
}

/** Holes of `iptables/service-port-filter` (spec 7.4). */
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

function endpointContexts(port: ServicePort, chains: ServicePortChains, surroundings: Surroundings) {
  const seconds = port.affinityTimeoutSeconds;
  const { name, protocol } = captureOf(port);
  const hasComment = surroundings.hasEndpointComments;
  const mask = port.family === 'IPv6' ? 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' : '255.255.255.255';
  const endpointChains = new Map(port.reachableEndpoints.map((endpoint) => [endpoint, endpointChain(port, endpoint)]));
  const named = (endpoint: Endpoint) => ({
    name,
    hasComment,
    endpoint: endpoint.key,
    endpointChain: endpointChains.get(endpoint) ?? '',
  });
  const policies = [
    { chain: chains.cluster, endpoints: port.clusterEndpoints },
    { chain: chains.local, endpoints: port.localEndpoints },
  ];
  return {
    affinities:
      seconds === undefined
        ? []
        : policies.flatMap(({ chain, endpoints }) =>
            endpoints.map((endpoint) => ({ ...named(endpoint), chain, mask, seconds: String(seconds) })),
          ),
    choices: policies.flatMap(({ chain, endpoints }) =>
      endpoints.map((endpoint, index) => {
        const remaining = endpoints.length - index;
        return { ...named(endpoint), chain, probability: remaining === 1 ? '' : printedProbability(remaining) };
      }),
    ),
    endpoints: port.reachableEndpoints.map((endpoint) => ({
      ...named(endpoint),
      protocol,
      address: host(endpoint.address, port.family),
      hasAffinity: seconds !== undefined,
      mask,
    })),
  };
}

/** A single address as the tools print it. */
function host(address: string, family: ServicePort['family']): string {
  return family === 'IPv6' ? `${address}/128` : `${address}/32`;
}
