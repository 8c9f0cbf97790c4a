import { contains, parseAddress, parseRange } from './walk-address.ts';
import type { Address } from './walk-address.ts';
import type { Change, Host, OwnSource, WalkState } from './walk-program.ts';

/** What the walker knows of the node. */
export interface HostFacts {
  /** All addresses of the node's interfaces. */
  readonly addresses: readonly string[];
  /** The node's own addresses, one of each family: what packets to other nodes carry. */
  readonly primaryAddresses: readonly string[];
  /** The ranges of the pods on this node; none where they are not known. */
  readonly podCIDRs: readonly string[];
  /** Whether a pod is on this node, by its address, where that is told. */
  readonly podsHere?: ReadonlyMap<string, boolean>;
}

const loopback = ['127.0.0.0/8', '::1'].flatMap((range) => parseRange(range) ?? []);

/**
 * The node as the walker needs it. Without its routes, this is how a usual node is wired: pods of the node are
 * behind an interface with an address of their range, everything else is reached from the node's primary address.
 */
export function hostOf(facts: HostFacts): Host {
  const addresses = facts.addresses.flatMap((text) => parseAddress(text) ?? []);
  const primaries = facts.primaryAddresses.flatMap((text) => parseAddress(text) ?? []);
  const podRanges = facts.podCIDRs.flatMap((text) => parseRange(text) ?? []);
  const own = new Set([...addresses, ...primaries].map((address) => address.text));
  const isLocal = (address: Address): boolean =>
    own.has(address.text) || loopback.some((range) => contains(range, address));
  const sourceFor = (destination: Address): OwnSource | undefined => {
    if (isLocal(destination)) return { address: destination, isAssumed: false };
    const podRange = podRanges.find((range) => contains(range, destination));
    const hasRanges = podRanges.some(({ isV6 }) => isV6 === destination.isV6);
    const isHere = facts.podsHere?.get(destination.text) ?? (hasRanges ? podRange !== undefined : undefined);
    const address =
      isHere === true
        ? addresses.find((own) => podRange !== undefined && contains(podRange, own))
        : primaries.find(({ isV6 }) => isV6 === destination.isV6);
    return address && { address, isAssumed: isHere === undefined };
  };
  return { isLocal, sourceFor };
}

/** What masquerading does to a packet. */
export function masqueraded({ host, destination }: WalkState): Change {
  const source = host.sourceFor(destination);
  return source === undefined
    ? { isSourceChanged: true, isSourceKnown: false }
    : { source: source.address, isSourceChanged: true, isSourceAssumed: source.isAssumed };
}
