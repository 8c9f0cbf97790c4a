import { addressKind, parseCidr } from '../source/address.ts';
import type { IPFamily, Node } from '../source/objects.ts';
import type { Config } from './config.ts';
import { localDetector, nodeIPs, nodePortCidrs, podCidrs } from './node.ts';

/** What is odd about a configuration on this node: `fatal` when it cannot work at all. */
export interface SanityFindings {
  readonly warnings: readonly string[];
  readonly fatal: readonly string[];
}

/**
 * Compares the configuration with the node it is to work on. `families` are those whose rules are kept: the host can
 * do them, and they were asked for.
 */
export function checkSanity(config: Config, node: Node | undefined, families: readonly IPFamily[]): SanityFindings {
  const ofNode = nodeIPs(config, node).primaryFamily;
  const primary = families.includes(ofNode) ? ofNode : (families[0] ?? ofNode);
  const isSingleStack = families.length < 2;
  const wrongCidrs = onlyOtherFamily(detectionCidrs(config, node), primary)
    ? [
        `${detectionField(config)} has no CIDR of ${primary}, ${isSingleStack ? 'the only' : "the node's primary"} family: ${untold}; add one`,
      ]
    : [];
  const isFatal = isSingleStack || config.detectLocal.mode === 'NodeCIDR';
  return {
    fatal: isFatal ? wrongCidrs : [],
    warnings: [
      ...(isFatal ? [] : wrongCidrs),
      ...nodePortWarnings(config, node, { primary, isSingleStack }),
      ...detectionWarnings(config, node, primary),
      ...missingFamilyAddresses(config, families),
    ],
  };
}

/** The CIDRs that the selected way of detection goes by. */
function detectionCidrs({ detectLocal }: Config, node: Node | undefined): readonly string[] {
  if (detectLocal.mode === 'ClusterCIDR') return detectLocal.clusterCIDRs;
  return detectLocal.mode === 'NodeCIDR' ? podCidrs(node) : [];
}

function detectionField({ detectLocal }: Config): string {
  return detectLocal.mode === 'NodeCIDR' ? "the Node's spec.podCIDRs" : 'clusterCIDR';
}

function onlyOtherFamily(cidrs: readonly string[], family: IPFamily): boolean {
  return cidrs.length > 0 && cidrs.every((cidr) => parseCidr(cidr)?.family !== family);
}

const untold = 'traffic of local pods cannot be told from other traffic';

function nodePortWarnings(
  config: Config,
  node: Node | undefined,
  { primary, isSingleStack }: { readonly primary: IPFamily; readonly isSingleStack: boolean },
): string[] {
  if (config.nodePortAddresses.length === 0) {
    return ['nodePortAddresses is not set: node ports answer on all addresses of this node; consider "primary"'];
  }
  const cidrs = nodePortCidrs(config, node);
  if (cidrs.length === 0) {
    return [
      "nodePortAddresses is primary, but the Node's addresses are not known: node ports answer on all addresses; CIDRs in place of primary narrow them",
    ];
  }
  if (onlyOtherFamily(cidrs, primary)) {
    return [
      `nodePortAddresses has no CIDR of ${primary}, the node's primary family: node ports answer on all its addresses; add one to narrow them`,
    ];
  }
  if (isSingleStack) return [];
  const families = new Set(
    [...detectionCidrs(config, node), ...podCidrs(node), ...cidrs].map((cidr) => parseCidr(cidr)?.family),
  );
  const isDualStack = families.has('IPv4') && families.has('IPv6');
  if (!isDualStack || cidrs.some((cidr) => parseCidr(cidr)?.family !== primary)) return [];
  const other = primary === 'IPv4' ? 'IPv6' : 'IPv4';
  return [
    `nodePortAddresses has CIDRs of ${primary} only: node ports answer on all addresses of ${other}; add one of ${other} to narrow them`,
  ];
}

function detectionWarnings(config: Config, node: Node | undefined, primary: IPFamily): string[] {
  const isKnown = localDetector(config, node, primary) !== undefined;
  if (isKnown || onlyOtherFamily(detectionCidrs(config, node), primary)) return [];
  const advice = config.detectLocal.mode === 'NodeCIDR' ? 'let the cluster give it one' : 'set it (--cluster-cidr)';
  return [`${detectionField(config)} is not set: ${untold}; ${advice}, or choose another detectLocalMode`];
}

function missingFamilyAddresses(config: Config, families: readonly IPFamily[]): string[] {
  const missing = config.ipFamilies.filter((family) => !families.includes(family));
  const servers = { healthzBindAddress: config.healthzBindAddress, metricsBindAddress: config.metricsBindAddress };
  return Object.entries(servers).flatMap(([field, bind]) => {
    if (bind === undefined || addressKind(bind.address) === 'unspecified') return [];
    const family = bind.address.includes(':') ? 'IPv6' : 'IPv4';
    return missing.includes(family)
      ? [`${field} is an address of ${family}, which this host does not have: nothing is served on it`]
      : [];
  });
}
