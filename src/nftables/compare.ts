import { diff } from '../ruleset/diff.ts';
import type { ObjectChange } from '../ruleset/diff.ts';
import { combine } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetObject, RulesetPart } from '../ruleset/ruleset.ts';
import type { SplitParts } from '../ruleset/split.ts';
import { holdersIn } from './shared-elements.ts';
import { definitionKey, lineKey } from './spelling.ts';

/**
 * What differs in one table between the live ruleset and another, and is worth a write: by what lines say, not by their
 * words. `split`: the two.
 */
export function compareNftables({ parts }: Ruleset, split: SplitParts, table: string): ObjectChange[] {
  const live = objectsIn(split.live, table);
  const desired = objectsIn(split.desired, table);
  const changes = diff(
    {
      live: mapValues(live, (object) => comparable(object, desired.get(object.id))),
      desired: mapValues(desired, (object) => comparable(object, live.get(object.id))),
      common: split.common,
    },
    lineKey,
  );
  return changes.flatMap((change) => asSet(restored(change, live, desired), { parts, split, table }));
}

function objectsIn(parts: readonly RulesetPart[], table: string): ReadonlyMap<string, RulesetObject> {
  return new Map([...combine(parts)].filter(([, object]) => object.table === table));
}

function mapValues(
  objects: ReadonlyMap<string, RulesetObject>,
  change: (object: RulesetObject) => RulesetObject,
): ReadonlyMap<string, RulesetObject> {
  return new Map([...objects].map(([id, object]) => [id, change(object)]));
}

/**
 * The object in the words that count, without the elements that the other one has in the same words: most, in a
 * large set. An element that several service ports want is in the set once.
 */
function comparable(object: RulesetObject, other: RulesetObject | undefined): RulesetObject {
  const definition = definitionKey(object);
  if (object.isOrdered) return { ...object, definition };
  // Only sets hold what several service ports want.
  const own = object.kind === 'set' ? [...new Set(object.lines)] : object.lines;
  if (other === undefined) return { ...object, definition, lines: own };
  const theirs = new Set(other.lines);
  return { ...object, definition, lines: own.filter((line) => !theirs.has(line)) };
}

function restored(
  change: ObjectChange,
  live: ReadonlyMap<string, RulesetObject>,
  desired: ReadonlyMap<string, RulesetObject>,
): ObjectChange {
  const { id } = change.object;
  const [before, after] = [live.get(id), desired.get(id)];
  const object = change.kind === 'delete' ? before : after;
  const definition = (after ?? before)?.definition ?? [];
  return {
    ...change,
    object: object ?? { ...change.object, definition },
    ...(before === undefined ? {} : { live: before }),
  };
}

/** An element of a set comes with the first service port that wants it and goes with the last. */
function asSet(
  change: ObjectChange,
  {
    parts,
    split,
    table,
  }: { readonly parts: readonly RulesetPart[]; readonly split: SplitParts; readonly table: string },
): ObjectChange[] {
  const { kind, object } = change;
  // In a listing an element stands once; only between rulesets of ours a part can go while others want its element.
  if (kind !== 'change' || object.kind !== 'set' || split.live.length === parts.length) return [change];
  const holders = holdersIn(table, parts, split.live);
  const isSettled = (line: string) => holders(object.name, line) > 0;
  const removed = change.removed.filter((line) => !isSettled(line));
  const added = change.added.filter((line) => !isSettled(line));
  const isSame = removed.length + added.length === 0 && change.removed.length + change.added.length > 0;
  return isSame ? [] : [{ ...change, removed, added }];
}

/** What the object is differs, not its lines only. */
export function isRedefined({ object, live }: ObjectChange): boolean {
  if (live === undefined || object.definition.length === 0) return false;
  return !sameWords(definitionKey(live), definitionKey(object));
}

function sameWords(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((line, index) => line === right[index]);
}
