import type { ProxyModel, ServicePort } from '../../model/model.ts';
import { contains, parseRange } from '../../ruleset/walk-address.ts';
import type { Address } from '../../ruleset/walk-address.ts';
import { outcomeOf } from '../../ruleset/walk-outcome.ts';
import type { Outcome, ReachedEndpoint } from '../../ruleset/walk-outcome.ts';
import type { Program } from '../../ruleset/walk-program.ts';
import { walk } from '../../ruleset/walk.ts';
import { packetFrom } from '../explain/client.ts';
import type { PacketFacts, RelevantPacket } from './packets.ts';

/** A packet that two rulesets treat differently. */
export interface PacketDifference extends RelevantPacket {
  readonly left: Outcome;
  readonly right: Outcome;
  /** The documented difference between the modes that it is an example of. */
  readonly intended?: string;
}

/** Walks every packet through both rulesets. */
export function differingPackets(
  packets: readonly RelevantPacket[],
  rulesets: { readonly left: readonly Program[]; readonly right: readonly Program[] },
  facts: PacketFacts,
): readonly PacketDifference[] {
  return packets.flatMap(({ client, destination }) => {
    const packet = packetFrom(client, destination, facts);
    const left = outcomeOf(walk(rulesets.left, packet, facts.host));
    const right = outcomeOf(walk(rulesets.right, packet, facts.host));
    return isSame(left, right) ? [] : [{ client, destination, left, right }];
  });
}

/** Marks what differs between iptables (left) and nftables (right) because the modes are meant to. */
export function withIntentions(
  differences: readonly PacketDifference[],
  nftables: ProxyModel,
): readonly PacketDifference[] {
  return differences.map((difference) => {
    const intended = intention(difference, nftables);
    return intended === undefined ? difference : { ...difference, intended };
  });
}

/** Both modes know their probabilities only so well: iptables in steps of 2^-31. */
const tolerance = 1e-6;

function isSame(left: Outcome, right: Outcome): boolean {
  return (
    left.verdict === right.verdict &&
    left.affinity === right.affinity &&
    left.endpoints.length === right.endpoints.length &&
    left.others.length === right.others.length &&
    left.endpoints.every((endpoint, index) => isSameEndpoint(endpoint, right.endpoints[index])) &&
    left.others.every(({ verdict, probability }, index) => {
      const other = right.others[index];
      return other?.verdict === verdict && Math.abs(other.probability - probability) < tolerance;
    })
  );
}

function isSameEndpoint(left: ReachedEndpoint, right: ReachedEndpoint | undefined): boolean {
  return (
    right !== undefined &&
    left.address === right.address &&
    left.port === right.port &&
    left.source === right.source &&
    Math.abs(left.probability - right.probability) < tolerance
  );
}

function intention({ client, destination, left, right }: PacketDifference, model: ProxyModel): string | undefined {
  const { address } = destination;
  const ports = model.servicePorts.filter((one) => isFor(destination, one));
  if (right.verdict === 'host') {
    if (isLoopback(address)) return 'node ports do not answer on loopback addresses in nftables mode';
    const accepting = model.nodePortAddresses;
    const isAccepted = accepting === 'all' || accepting.includes(address.text);
    return isAccepted ? undefined : 'node ports answer on fewer addresses in nftables mode (nodePortAddresses)';
  }
  const isClusterIP = model.servicePorts.some((one) => one.clusterIP === address.text);
  if (left.verdict === 'pass' && right.verdict === 'reject') {
    if (isClusterIP && ports.length === 0) return 'a port that a cluster IP does not serve is refused in nftables mode';
    const isOwn = client.kind === 'node' && !isClusterIP && ports.some((one) => !one.hasEndpoints);
    return isOwn
      ? 'external addresses without endpoints are refused to the node itself in nftables mode only'
      : undefined;
  }
  if (right.verdict !== 'drop') return undefined;
  if (left.verdict === 'pass' && ports.length === 0 && isIn(model.serviceCIDRs, address)) {
    return 'a cluster IP that no Service has is dropped in nftables mode';
  }
  const excluding = ports.find(({ sourceRanges }) => sourceRanges !== undefined && !isIn(sourceRanges, client.address));
  if (excluding === undefined) return undefined;
  if (!excluding.hasEndpoints) return 'source ranges hold without endpoints too in nftables mode';
  const isBoth = excluding.externalIPs.includes(address.text) && excluding.loadBalancerIPs.includes(address.text);
  return isBoth
    ? 'source ranges hold for a load balancer IP that is an external IP too in nftables mode only'
    : undefined;
}

/** The service port answers at this destination, node ports aside. */
function isFor({ address, port, protocol }: RelevantPacket['destination'], one: ServicePort): boolean {
  const addresses = [one.clusterIP, ...one.externalIPs, ...one.loadBalancerIPs];
  return one.port === port && one.protocol.toLowerCase() === protocol && addresses.includes(address.text);
}

function isLoopback(address: Address): boolean {
  return isIn(['127.0.0.0/8', '::1'], address);
}

function isIn(cidrs: readonly string[], address: Address): boolean {
  return cidrs.some((cidr) => {
    const range = parseRange(cidr);
    return range !== undefined && contains(range, address);
  });
}
