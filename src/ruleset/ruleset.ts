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
  /** The Service it exists for, where that is known without reading its lines. */
  readonly service?: ServiceName;
}

/** A Service as rulesets, plans and messages name it. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/** `namespace/name`: what maps know a Service by, and people. */
export function namespacedName({ namespace, name }: ServiceName): string {
  return `${namespace}/${name}`;
}

/**
 * Desired or live: what one tool would print, or printed, for one IP family. It is made of parts that change
 * independently, such as the rules of one service port; a part that two rulesets share is equal in both without a
 * look inside, so work between successive rulesets follows what changed. A listing is one part.
 */
export interface Ruleset {
  readonly parts: readonly RulesetPart[];
}

/**
 * Objects, or some lines of them. An unordered object may have lines in many parts; an ordered one is whole in the
 * only part that has it. Objects that always exist, such as dispatch chains, are in a part of their own as well.
 */
export type RulesetPart = readonly RulesetObject[];

/** No lines, shared: an object of its own for each of the many that have none would weigh more than they do. */
export const noLines: readonly string[] = [];

/** What `RulesetObject.id` is. */
export function objectId(table: string, kind: ObjectKind, name: string): string {
  // Of an id made with a template V8 keeps the pieces beside the whole.
  return [table, kind, name].join(' ');
}

const combined = new WeakMap<Ruleset, ReadonlyMap<string, RulesetObject>>();

/** All objects of a ruleset, whole, by id. Costs a look at everything, once per ruleset. */
export function objectsOf(ruleset: Ruleset): ReadonlyMap<string, RulesetObject> {
  const known = combined.get(ruleset);
  if (known !== undefined) return known;
  const objects = combine(ruleset.parts);
  combined.set(ruleset, objects);
  return objects;
}

/** The union of parts: objects of the same id get the lines of all. */
export function combine(parts: Iterable<RulesetPart>): Map<string, RulesetObject> {
  const objects = new Map<string, RulesetObject>();
  const joined = new Map<string, string[]>();
  for (const part of parts) {
    for (const object of part) {
      const existing = objects.get(object.id);
      if (existing === undefined) {
        objects.set(object.id, object);
        continue;
      }
      let lines = joined.get(object.id);
      if (lines === undefined) {
        lines = [...existing.lines];
        joined.set(object.id, lines);
        objects.set(object.id, { ...existing, lines, tail: [...existing.tail, ...object.tail] });
      }
      for (const line of object.lines) lines.push(line);
    }
  }
  return objects;
}
