import type { RulesetPart } from '../ruleset/ruleset.ts';
import { splitParts } from '../ruleset/split.ts';

/** How many parts hold an element of the set `name`. */
export type Holders = (name: string, line: string) => number;

interface Counted {
  readonly parts: readonly RulesetPart[];
  readonly counts: Map<string, Map<string, number>>;
}

/** What was counted last for each table. It saves work and nothing else: any other parts give the same counts. */
const counted = new Map<string, Counted>();

/**
 * Counts for the sets of a table in the parts of a ruleset besides some, from the last count where that is less work.
 * Good until the next call.
 */
export function holdersIn(table: string, parts: readonly RulesetPart[], besides: readonly RulesetPart[]): Holders {
  const last = counted.get(table) ?? { parts: [], counts: new Map<string, Map<string, number>>() };
  const { live: gone, desired: come } = splitParts(last, { parts });
  for (const part of gone) count(last.counts, part, -1);
  for (const part of come) count(last.counts, part, 1);
  counted.set(table, { parts, counts: last.counts });
  const left: Counted['counts'] = new Map<string, Map<string, number>>();
  for (const part of besides) count(left, part, 1);
  return (name, line) => (last.counts.get(name)?.get(line) ?? 0) - (left.get(name)?.get(line) ?? 0);
}

function count(counts: Counted['counts'], part: RulesetPart, step: 1 | -1): void {
  for (const { kind, name, lines } of part) {
    if (kind !== 'set' || lines.length === 0) continue;
    const ofSet = counts.get(name) ?? new Map<string, number>();
    counts.set(name, ofSet);
    for (const line of lines) {
      const next = (ofSet.get(line) ?? 0) + step;
      if (next === 0) ofSet.delete(line);
      else ofSet.set(line, next);
    }
  }
}
