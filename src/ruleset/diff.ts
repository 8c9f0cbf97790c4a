import { combine } from './ruleset.ts';
import type { Ruleset, RulesetObject, RulesetPart } from './ruleset.ts';
import { splitParts } from './split.ts';

/**
 * One object that differs. Of an unordered object `removed` and `added` are the lines to take out and to put in, and
 * `object` may hold only some of its lines; an ordered one is rewritten whole, and they hold all its lines.
 */
export interface ObjectChange {
  readonly kind: 'add' | 'change' | 'delete';
  /** The desired object, or the live one when it is to be deleted. */
  readonly object: RulesetObject;
  readonly live?: RulesetObject;
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

/**
 * How two spellings of a line are recognised as the same: both map to one key. A backend's `lineKey` knows the
 * differences that are not worth a write. `undefined` marks a line that never counts as one.
 */
export type LineKey = (object: RulesetObject, line: string) => string | undefined;

/** What two rulesets do not share: their objects, as far as the parts that only one of them has say. */
export interface Differing {
  readonly live: ReadonlyMap<string, RulesetObject>;
  readonly desired: ReadonlyMap<string, RulesetObject>;
  /** Parts that both have. */
  readonly common: Iterable<RulesetPart>;
}

/** Leaves out the parts that both have, without a look inside. */
export function differing(live: Ruleset, desired: Ruleset): Differing {
  const split = splitParts(live, desired);
  return { live: combine(split.live), desired: combine(split.desired), common: split.common };
}

/** What must change to make live equal desired: objects in the order of `desired`, deletions last. */
export function diff({ live, desired, common }: Differing, lineKey: LineKey): ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const object of desired.values()) {
    if (!object.isOwned) continue;
    const existing = live.get(object.id) ?? restIn(common, object);
    const change = existing === undefined ? addition(object) : changeOf(existing, object, lineKey);
    if (change !== undefined) changes.push(change);
  }
  for (const object of live.values()) {
    if (!object.isOwned || desired.has(object.id)) continue;
    const rest = restIn(common, object);
    const change = rest === undefined ? deletion(object) : changeOf(object, rest, lineKey);
    if (change !== undefined) changes.push(change);
  }
  return changes;
}

/** The lines that an unordered object has in parts that differ, when the rest of it is in parts that do not: none. */
function restIn(common: Iterable<RulesetPart>, object: RulesetObject): RulesetObject | undefined {
  if (object.isOrdered) return undefined;
  for (const part of common) {
    if (part.some(({ id }) => id === object.id)) return { ...object, lines: [], tail: [] };
  }
  return undefined;
}

function addition(object: RulesetObject): ObjectChange {
  return { kind: 'add', object, removed: [], added: [...object.lines, ...object.tail] };
}

function deletion(object: RulesetObject): ObjectChange {
  return { kind: 'delete', object, live: object, removed: [...object.lines, ...object.tail], added: [] };
}

function changeOf(live: RulesetObject, desired: RulesetObject, lineKey: LineKey): ObjectChange | undefined {
  if (live === desired) return undefined;
  if (desired.isOrdered) {
    if (sameDefinition(live, desired) && sameLines(live.lines, desired.lines, desired, lineKey)) return undefined;
    return { kind: 'change', object: desired, live, removed: live.lines, added: desired.lines };
  }
  const { removed, added } = surplus(live.lines, desired.lines, desired, lineKey);
  if (!sameLines(live.tail, desired.tail, desired, lineKey)) {
    removed.push(...live.tail);
    added.push(...desired.tail);
  }
  if (removed.length === 0 && added.length === 0 && sameDefinition(live, desired)) return undefined;
  return { kind: 'change', object: desired, live, removed, added };
}

function sameDefinition(live: RulesetObject, desired: RulesetObject): boolean {
  return (
    live.definition.length === desired.definition.length &&
    live.definition.every((line, index) => line === desired.definition[index])
  );
}

function sameLines(
  left: readonly string[],
  right: readonly string[],
  object: RulesetObject,
  lineKey: LineKey,
): boolean {
  return (
    left.length === right.length &&
    left.every((line, index) => {
      const other = right[index];
      return other !== undefined && (line === other || lineKey(object, line) === lineKey(object, other));
    })
  );
}

/** The lines of each side that the other lacks, counting repetitions. */
function surplus(
  live: readonly string[],
  desired: readonly string[],
  object: RulesetObject,
  lineKey: LineKey,
): { removed: string[]; added: string[] } {
  const balance = new Map<string, number>();
  for (const line of desired) {
    const key = lineKey(object, line);
    if (key !== undefined) balance.set(key, (balance.get(key) ?? 0) - 1);
  }
  const removed = live.filter((line) => {
    const key = lineKey(object, line);
    if (key === undefined) return false;
    const count = (balance.get(key) ?? 0) + 1;
    balance.set(key, count);
    return count > 0;
  });
  const added = desired.filter((line) => {
    const key = lineKey(object, line);
    const count = key === undefined ? 0 : (balance.get(key) ?? 0);
    if (key !== undefined && count < 0) balance.set(key, count + 1);
    return count < 0;
  });
  return { removed, added };
}
