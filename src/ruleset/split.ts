import type { Ruleset, RulesetPart } from './ruleset.ts';

/** Two rulesets, split into the parts that only one of them has and those that both have. */
export interface SplitParts {
  readonly live: readonly RulesetPart[];
  readonly desired: readonly RulesetPart[];
  /** As many as the rulesets have, so they are looked up in the live one and not copied. */
  readonly common: Iterable<RulesetPart>;
}

/**
 * What is left of two lists without what they have in common at both ends. Service ports are sorted, so between
 * successive models that is a few, when few changed.
 */
export function differingMiddle<T>(
  before: readonly T[],
  after: readonly T[],
): { readonly before: readonly T[]; readonly after: readonly T[] } {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { before: before.slice(start, before.length - end), after: after.slice(start, after.length - end) };
}

/** Calls back for each place at which two lists hold different things; one of them may have no such place. */
export function eachDifference<T>(
  before: readonly T[],
  after: readonly T[],
  callback: (place: number, old: T | undefined, fresh: T | undefined) => void,
): void {
  const longer = Math.max(before.length, after.length);
  for (let place = 0; place < longer; place++) {
    if (before[place] !== after[place]) callback(place, before[place], after[place]);
  }
}

/** What two rulesets do not share, wherever it stands. */
export function splitParts({ parts: live }: Ruleset, { parts: desired }: Ruleset): SplitParts {
  const middle = differingMiddle(live, desired);
  const inLive = new Set(middle.before);
  const inDesired = new Set(middle.after);
  const gone = middle.before.filter((part) => !inDesired.has(part));
  return {
    live: gone,
    desired: middle.after.filter((part) => !inLive.has(part)),
    common: { [Symbol.iterator]: () => besides(live, new Set(gone)) },
  };
}

function* besides(parts: readonly RulesetPart[], gone: ReadonlySet<RulesetPart>): Generator<RulesetPart> {
  for (const part of parts) if (!gone.has(part)) yield part;
}
