import type { Address } from './walk-address.ts';

/** The first packet of a connection, as its sender wrote it. */
export interface Packet {
  readonly source: Address;
  readonly sourcePort?: number;
  readonly destination: Address;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** Sent by a process of this node, so it starts at the output hook. */
  readonly isFromHost: boolean;
  /** Where it comes in, when known. A packet of the host has none. */
  readonly inInterface?: string;
  /** An interface (or `prefix+`) it surely does not come in by, when `inInterface` is not known. */
  readonly notFromInterface?: string;
}

/** What the walk must know of the node. */
export interface Host {
  /** The address belongs to this node, loopback included. */
  readonly isLocal: (address: Address) => boolean;
  /** The address that masquerading puts on a packet to `destination`, when known. */
  readonly sourceFor: (destination: Address) => OwnSource | undefined;
}

/** An address of the node, as the source of a packet. */
export interface OwnSource {
  readonly address: Address;
  /** Only if `destination` is no pod of this node: that cannot be told here. */
  readonly isAssumed: boolean;
}

/** Where netfilter meets a packet, as nft names it. */
export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** A packet on its way: what rules read and change. Never modified in place. */
export interface WalkState {
  readonly packet: Packet;
  readonly host: Host;
  readonly hook: Hook;
  readonly source: Address;
  readonly sourcePort?: number;
  readonly destination: Address;
  readonly port: number;
  /** Empty: none (a packet leaving the host has no incoming one). Absent: not known. */
  readonly inInterface?: string;
  readonly outInterface?: string;
  readonly mark: number;
  readonly connectionMark: number;
  readonly isDestinationChanged: boolean;
  readonly isSourceChanged: boolean;
  /** False after masquerading to an address that the host's routes decide and the walker does not know. */
  readonly isSourceKnown: boolean;
  /** After masquerading to an address that would be another one for a pod of this node. */
  readonly isSourceAssumed: boolean;
  /** A rule on the way remembers which endpoint a client got. */
  readonly hasAffinity: boolean;
  /** Probability of getting here. */
  readonly share: number;
  readonly trail: TrailStep | undefined;
  /** Set when this is how things go if a rule that could not be understood matches. */
  readonly assumed: TrailStep | undefined;
}

/** A rule that took effect, or a policy; linked to the one before, so that branches share their beginning. */
export interface TrailStep {
  readonly before: TrailStep | undefined;
  readonly hook: Hook;
  readonly chain: WalkChain;
  /** How many jumps below the base chain. */
  readonly depth: number;
  /** Probability of getting through this step. */
  readonly share: number;
  /** Absent for the policy of a base chain. */
  readonly rule: WalkRule | undefined;
  readonly branch: Branch;
}

/** What one rule may do to a packet. A rule that does not match has no branch. */
export interface Branch {
  /** Probability among the branches of the rule; what is missing to 1 goes on to the next rule untouched. */
  readonly share: number;
  readonly change?: Change;
  readonly then: Then;
  /** Present when the rule could not be understood: what in it. The packet is taken to pass it by. */
  readonly unknown?: string;
}

export type Change = Partial<
  Pick<
    WalkState,
    | 'source'
    | 'sourcePort'
    | 'destination'
    | 'port'
    | 'mark'
    | 'connectionMark'
    | 'isDestinationChanged'
    | 'isSourceChanged'
    | 'isSourceKnown'
    | 'isSourceAssumed'
    | 'hasAffinity'
  >
>;

/** Where a packet goes after a rule. */
export type Then =
  | { readonly kind: 'continue' | 'accept' | 'drop' | 'reject' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

/** A rule made executable. */
export interface WalkRule {
  /** As listed. */
  readonly line: string;
  /** The rule matches nothing else than this destination address or port: lets a long chain be skipped through. */
  readonly only?: { readonly destination?: string; readonly port?: number };
  readonly run: (state: WalkState) => readonly Branch[];
  /** What taking this branch means, in words. */
  readonly meaning: (branch: Branch) => string;
}

/** A table that can be walked. */
export interface WalkTable {
  /** `nat`, `filter`, … for iptables; `ip kube-proxy` for nftables. */
  readonly name: string;
  readonly chains: Map<string, WalkChain>;
}

/** A chain that can be walked. */
export interface WalkChain {
  readonly table: WalkTable;
  readonly name: string;
  readonly rules: readonly WalkRule[];
}

/** A chain the kernel calls. */
export interface BaseChain {
  readonly chain: WalkChain;
  readonly hook: Hook;
  readonly priority: number;
  /** Consulted once for a connection, and no more at a hook once an address was rewritten there. */
  readonly isNat: boolean;
  readonly policy: 'accept' | 'drop';
  /** Absent: both families. */
  readonly isV6?: boolean;
}

/** A ruleset made executable. Several can be walked as one: the kernel merges them by hook and priority. */
export interface Program {
  readonly baseChains: readonly BaseChain[];
}

/** `lo`, `eth+` (iptables) and `eth*` (nftables) against an interface; `undefined` when that is not known. */
export function matchesInterface(state: WalkState, direction: 'in' | 'out', pattern: string): boolean | undefined {
  const name = direction === 'in' ? state.inInterface : state.outInterface;
  if (name === undefined) {
    // What arrives from somewhere, or leaves for somewhere, does not use the loopback interface.
    const isExcluded = direction === 'in' && state.packet.notFromInterface === pattern.replace(/\*$/, '+');
    return pattern === 'lo' || isExcluded ? false : undefined;
  }
  const isPrefix = pattern.endsWith('+') || pattern.endsWith('*');
  return isPrefix ? name !== '' && name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
