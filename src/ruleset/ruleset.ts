/** What an object in a ruleset is. `hooks` are our jumps inside a chain that belongs to the kernel. */
export type ObjectKind = 'table' | 'chain' | 'hooks' | 'set' | 'map';

/**
 * A named thing in a ruleset and its lines, exactly as the listing tool prints them (without indentation).
 * Owned objects are ours to change; the others are kept for the packet walker and never reach a plan.
 */
export interface RulesetObject {
  /** Unique in the ruleset: table, kind and name. Build it with `objectId`. */
  readonly id: string;
  /** `nat`, `filter`, `mangle`, … for iptables; `ip kube-proxy` for nftables. */
  readonly table: string;
  readonly kind: ObjectKind;
  readonly name: string;
  readonly isOwned: boolean;
  /** What the object is, apart from its lines: type, hook, priority, policy, flags, timeout, comment. */
  readonly definition: readonly string[];
  /** Rules or elements. */
  readonly lines: readonly string[];
  /** The order of `lines` matters. False for dispatch chains, sets and maps. */
  readonly isOrdered: boolean;
  /** Rules that must come after `lines`, in this order: the fixed end of a dispatch chain. */
  readonly tail: readonly string[];
}

/** Desired or live: what one tool would print, or printed, for one IP family. */
export interface Ruleset {
  readonly objects: ReadonlyMap<string, RulesetObject>;
}

export function objectId(table: string, kind: ObjectKind, name: string): string {
  return `${table} ${kind} ${name}`;
}
