import type { LocalDetector } from '../model/model.ts';
import type { ModelOptions } from '../model/options.ts';
import { addressKind, cidrContains, parseAddress, parseCidr } from '../source/address.ts';
import type { IPFamily, Node } from '../source/objects.ts';
import type { Config } from './config.ts';

/** What is known of the node and the host we run on. */
export interface Host {
  /** As `nodeName` gives it. */
  readonly nodeName: string;
  /** The Node object, when known. */
  readonly node?: Node;
  /** Canonical addresses of its interfaces, both families. */
  readonly addresses: readonly string[];
  /** The kernel already tracks TCP liberally (`nf_conntrack_tcp_be_liberal`), whatever the configuration says. */
  readonly tracksLiberally?: boolean;
}

/** The addresses a node is known by. */
export interface NodeIPs {
  readonly primaryFamily: IPFamily;
  /** Loopback when the node has none of the family. */
  readonly byFamily: Readonly<Record<IPFamily, string>>;
}

/** Which node we are: what was configured, else the only Node among the manifests, else the host's name. */
export function nodeName(config: Config, manifestNodes: readonly Node[], hostName: string): string {
  const only = manifestNodes.length === 1 ? manifestNodes[0]?.metadata.name : undefined;
  return (config.nodeNameOverride ?? only ?? hostName).trim().toLowerCase();
}

/** The canonical addresses of a Node, InternalIP before ExternalIP: what the host has, as far as manifests tell. */
export function nodeAddresses(node: Node | undefined): readonly string[] {
  const addresses = node?.status?.addresses ?? [];
  return ['InternalIP', 'ExternalIP'].flatMap((type) =>
    addresses.filter((address) => address.type === type).flatMap(({ address }) => parseAddress(address)?.text ?? []),
  );
}

/**
 * The addresses that count as this host's: those configured, else its interfaces where we work on its kernel, else
 * those of the Node in the manifests, else its interfaces. `interfaces` is only asked when needed.
 */
export function hostAddresses(
  config: Config,
  {
    node,
    interfaces,
    target,
  }: {
    readonly node?: Node;
    readonly interfaces: () => readonly string[];
    readonly target: 'kernel' | 'text';
  },
): readonly string[] {
  if (config.nodeAddresses !== undefined) return config.nodeAddresses;
  const ofNode = target === 'kernel' ? [] : nodeAddresses(node);
  return ofNode.length > 0 ? ofNode : interfaces();
}

/** The node's addresses of both families; a specific `bindAddress` goes before those of the Node. */
export function nodeIPs(config: Config, node: Node | undefined): NodeIPs {
  const hostIPs = nodeAddresses(node);
  const [primary] = hostIPs;
  const secondary = hostIPs.find((address) => primary !== undefined && familyOf(address) !== familyOf(primary));
  const override = addressKind(config.bindAddress) === 'unspecified' ? undefined : config.bindAddress;
  const byFamily = { IPv4: '127.0.0.1', IPv6: '::1' };
  for (const address of [primary, secondary, override]) {
    if (address !== undefined) byFamily[familyOf(address)] = address;
  }
  const leading = override ?? primary;
  return { primaryFamily: leading === undefined ? 'IPv4' : familyOf(leading), byFamily };
}

/** The CIDRs whose addresses accept node ports, `primary` replaced by the node's addresses; empty: all addresses. */
export function nodePortCidrs(config: Config, node: Node | undefined): readonly string[] {
  if (config.nodePortAddresses[0] !== 'primary') return config.nodePortAddresses;
  return Object.values(nodeIPs(config, node).byFamily)
    .filter((address) => addressKind(address) !== 'loopback')
    .map((address) => `${address}/${familyOf(address) === 'IPv4' ? 32 : 128}`);
}

/**
 * What the model of one family is built with. The model remembers its work by this object: make it once, and again
 * only when the host or its Node changed in something that counts.
 */
export function modelOptions(config: Config, host: Host, family: IPFamily): ModelOptions {
  const nodeIP = nodeIPs(config, host.node).byFamily[family];
  const detector = localDetector(config, host.node, family);
  return {
    family,
    nodeName: host.nodeName,
    ...(addressKind(nodeIP) !== 'loopback' && { nodeIP }),
    hostAddresses: host.addresses,
    masqueradeBit: config.masqueradeBit,
    masqueradeAll: config.masqueradeAll,
    ...(detector && { localDetector: detector }),
    nodePortAddresses: nodePortAddresses(config, host, family),
    localhostNodePorts: localhostNodePorts(config, host.node, family),
    dropInvalid: !config.conntrack.tcpBeLiberal && host.tracksLiberally !== true,
    allowExternalIPs: config.featureGates.get('AllowServiceExternalIPs') !== false,
  };
}

/** How the traffic of pods on this node is told; undefined when it cannot be told in this family. */
export function localDetector(config: Config, node: Node | undefined, family: IPFamily): LocalDetector | undefined {
  const { detectLocal } = config;
  switch (detectLocal.mode) {
    case 'ClusterCIDR':
      return cidrDetector(detectLocal.clusterCIDRs, family);
    case 'NodeCIDR':
      return cidrDetector(podCidrs(node), family);
    case 'BridgeInterface':
      return { kind: 'interface', name: detectLocal.bridge };
    case 'InterfaceNamePrefix':
      return { kind: 'interface-prefix', prefix: detectLocal.prefix };
  }
}

/** The pod CIDRs of a Node as it spells them; empty when it has none yet. */
export function podCidrs(node: Node | undefined): readonly string[] {
  const { podCIDRs, podCIDR } = node?.spec ?? {};
  return podCIDRs ?? (podCIDR === undefined || podCIDR === '' ? [] : [podCIDR]);
}

function cidrDetector(cidrs: readonly string[], family: IPFamily): LocalDetector | undefined {
  const cidr = cidrs.map(parseCidr).find((parsed) => parsed?.family === family);
  return cidr && { kind: 'cidr', cidr: cidr.text };
}

/** No CIDR of a family, or one with length 0, means all its addresses. */
function cidrsOf(config: Config, node: Node | undefined, family: IPFamily): 'all' | readonly string[] {
  const own = nodePortCidrs(config, node).filter((text) => parseCidr(text)?.family === family);
  return own.length === 0 || own.some((text) => parseCidr(text)?.prefixLength === 0) ? 'all' : own;
}

/**
 * Loopback addresses only accept node ports where the kernel lets them leave the loopback interface. 127.0.0.1 is
 * every host's, also where addresses that are configured, or those of a Node, do not name it.
 */
function nodePortAddresses(config: Config, host: Host, family: IPFamily): 'all' | readonly string[] {
  const cidrs = cidrsOf(config, host.node, family);
  if (cidrs === 'all') return 'all';
  const takesLoopback = localhostNodePorts(config, host.node, family);
  const chosen = [...host.addresses, '127.0.0.1'].filter(
    (address) =>
      cidrs.some((cidr) => cidrContains(cidr, address)) && (takesLoopback || addressKind(address) !== 'loopback'),
  );
  return [...new Set(chosen)].sort();
}

/** Only IPv4 in iptables mode can do it, and only if the node port addresses take in 127.0.0.0/8 or a part of it. */
function localhostNodePorts(config: Config, node: Node | undefined, family: IPFamily): boolean {
  if (!config.localhostNodePorts || config.mode !== 'iptables' || family !== 'IPv4') return false;
  const cidrs = cidrsOf(config, node, family);
  return cidrs === 'all' || cidrs.some((cidr) => cidr.startsWith('127.') || cidrContains(cidr, '127.0.0.0'));
}

function familyOf(address: string): IPFamily {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}
