import type { Differing, LineKey, ObjectChange } from './diff.ts';
import type { Ruleset, RulesetObject, RulesetPart } from './ruleset.ts';

/**
 * The live ruleset after the changes of a plan were made, without reading it again: the parts of the desired one,
 * and one more for what is there besides: what belongs to others, and what the plan left alone.
 */
export function applied(
  desired: Ruleset,
  before: Differing,
  changes: readonly ObjectChange[],
  lineKey: LineKey,
): Ruleset {
  const byId = new Map(changes.map((change) => [change.object.id, change]));
  const remainder = [...before.live.values()].flatMap((object) =>
    remainderOf(object, byId.get(object.id), before.desired.get(object.id), lineKey),
  );
  const kept: RulesetPart[] = remainder.length === 0 ? [] : [remainder];
  return { parts: [...desired.parts, ...kept] };
}

function remainderOf(
  object: RulesetObject,
  change: ObjectChange | undefined,
  desired: RulesetObject | undefined,
  lineKey: LineKey,
): RulesetObject[] {
  if (!object.isOwned) return [object];
  if (change?.kind === 'delete') return [];
  if (object.isOrdered) return desired === undefined ? [object] : [];
  const gone = new Map<string | undefined, number>();
  const count = (line: string) => {
    const key = lineKey(object, line);
    gone.set(key, (gone.get(key) ?? 0) + 1);
  };
  change?.removed.forEach(count);
  desired?.lines.forEach(count);
  const lines = object.lines.filter((line) => {
    const key = lineKey(object, line);
    const left = gone.get(key) ?? 0;
    if (left > 0) gone.set(key, left - 1);
    return left === 0;
  });
  return lines.length === 0 ? [] : [{ ...object, lines, tail: [] }];
}
