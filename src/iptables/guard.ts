import { objectId, objectsOf } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetObject } from '../ruleset/ruleset.ts';
import { kubeletSharedChain } from './ownership.ts';

const guard = objectId('filter', 'hooks', kubeletSharedChain);

/** The live rules with the guard of localhost among them, as `desired` has it and leads to it; all else as it is. */
export function withGuard(live: Ruleset, desired: Ruleset): Ruleset {
  const known = objectsOf(live);
  const missing: RulesetObject[] = [];
  for (const object of objectsOf(desired).values()) {
    if (object.table !== 'filter' || object.kind !== 'hooks') continue;
    const lines = object.lines.filter(
      (line) =>
        (object.id === guard || line.endsWith(` -j ${kubeletSharedChain}`)) &&
        known.get(object.id)?.lines.includes(line) !== true,
    );
    if (lines.length > 0) missing.push({ ...object, lines });
  }
  return { parts: [...live.parts, missing] };
}
