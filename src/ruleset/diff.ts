import type { Ruleset, RulesetObject } from './ruleset.ts';

/**
 * One object that differs. For unordered objects `removed` and `added` are the lines to take out and to put in;
 * for ordered ones the whole object is rewritten and they hold all its lines.
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

/**
 * What must change to make `live` equal `desired`: objects in the order of `desired`, deletions last.
 * Objects that are the same reference on both sides are equal without a look inside, so the cost of a diff
 * between successive rulesets follows what changed.
 */
export function diff(live: Ruleset, desired: Ruleset, lineKey: LineKey): ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const object of desired.objects.values()) {
    if (!object.isOwned) continue;
    const existing = live.objects.get(object.id);
    if (existing === object) continue;
    const change =
      existing === undefined
        ? { kind: 'add' as const, object, removed: [], added: [...object.lines, ...object.tail] }
        : changeOf(existing, object, lineKey);
    if (change !== undefined) changes.push(change);
  }
  for (const object of live.objects.values()) {
    if (!object.isOwned || desired.objects.has(object.id)) continue;
    changes.push({ kind: 'delete', object, live: object, removed: [...object.lines, ...object.tail], added: [] });
  }
  return changes;
}

function changeOf(live: RulesetObject, desired: RulesetObject, lineKey: LineKey): ObjectChange | undefined {
  if (desired.isOrdered) {
    if (sameSequence(live, desired, lineKey)) return undefined;
    return {
      kind: 'change',
      object: desired,
      live,
      removed: [...live.lines, ...live.tail],
      added: [...desired.lines, ...desired.tail],
    };
  }
  const removed = surplus(live, live.lines, desired.lines, lineKey);
  const added = surplus(desired, desired.lines, live.lines, lineKey);
  if (!sameTail(live, desired, lineKey)) {
    removed.push(...live.tail);
    added.push(...desired.tail);
  }
  if (removed.length === 0 && added.length === 0 && sameDefinition(live, desired)) return undefined;
  return { kind: 'change', object: desired, live, removed, added };
}

function sameSequence(live: RulesetObject, desired: RulesetObject, lineKey: LineKey): boolean {
  return (
    sameDefinition(live, desired) &&
    sameLines(live.lines, desired.lines, desired, lineKey) &&
    sameTail(live, desired, lineKey)
  );
}

function sameDefinition(live: RulesetObject, desired: RulesetObject): boolean {
  return (
    live.definition.length === desired.definition.length &&
    live.definition.every((line, index) => line === desired.definition[index])
  );
}

function sameTail(live: RulesetObject, desired: RulesetObject, lineKey: LineKey): boolean {
  return sameLines(live.tail, desired.tail, desired, lineKey);
}

function sameLines(left: readonly string[], right: readonly string[], object: RulesetObject, lineKey: LineKey): boolean {
  return (
    left.length === right.length &&
    left.every((line, index) => {
      const other = right[index];
      return other !== undefined && (line === other || lineKey(object, line) === lineKey(object, other));
    })
  );
}

/** The lines of one side that the other lacks, counting repetitions. */
function surplus(
  object: RulesetObject,
  lines: readonly string[],
  others: readonly string[],
  lineKey: LineKey,
): string[] {
  const counts = new Map<string, number>();
  for (const other of others) {
    const key = lineKey(object, other);
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return lines.filter((line) => {
    const key = lineKey(object, line);
    if (key === undefined) return false;
    const count = counts.get(key) ?? 0;
    if (count > 0) counts.set(key, count - 1);
    return count === 0;
  });
}
