import type { ObjectChange } from './diff.ts';
import type { Ruleset, RulesetObject } from './ruleset.ts';

/** The live ruleset after the changes of a plan were made, without reading it again. */
export function applied(live: Ruleset, changes: readonly ObjectChange[]): Ruleset {
  const objects = new Map(live.objects);
  for (const change of changes) {
    if (change.kind === 'delete') objects.delete(change.object.id);
    else objects.set(change.object.id, after(change));
  }
  return { objects };
}

function after(change: ObjectChange): RulesetObject {
  const { object, live } = change;
  if (live === undefined || object.isOrdered) return object;
  const gone = new Map<string, number>();
  for (const line of change.removed) gone.set(line, (gone.get(line) ?? 0) + 1);
  const kept = [...live.lines, ...live.tail].filter((line) => {
    const count = gone.get(line) ?? 0;
    if (count > 0) gone.set(line, count - 1);
    return count === 0;
  });
  const tail = new Set(object.tail);
  return { ...object, lines: [...kept, ...change.added].filter((line) => !tail.has(line)) };
}
