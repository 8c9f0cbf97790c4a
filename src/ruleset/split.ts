import type { Ruleset, RulesetPart } from './ruleset.ts';

/** Two rulesets, split into the parts that only one of them has and those that both have. */
export interface SplitParts {
  readonly live: readonly RulesetPart[];
  readonly desired: readonly RulesetPart[];
  /** As many as the rulesets have, so they are looked up in the live one and not copied. */
  readonly common: Iterable<RulesetPart>;
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

/** Service ports are sorted, so between successive rulesets both ends are mostly the same and only skipped. */
export function splitParts({ parts: live }: Ruleset, { parts: desired }: Ruleset): SplitParts {
  const shorter = Math.min(live.length, desired.length);
  let start = 0;
  while (start < shorter && live[start] === desired[start]) start++;
  let end = 0;
  while (end < shorter - start && live[live.length - 1 - end] === desired[desired.length - 1 - end]) end++;
  const liveMiddle = live.slice(start, live.length - end);
  const desiredMiddle = desired.slice(start, desired.length - end);
  const inLive = new Set(liveMiddle);
  const inDesired = new Set(desiredMiddle);
  const gone = liveMiddle.filter((part) => !inDesired.has(part));
  return {
    live: gone,
    desired: desiredMiddle.filter((part) => !inLive.has(part)),
    common: { [Symbol.iterator]: () => besides(live, new Set(gone)) },
  };
}

function* besides(parts: readonly RulesetPart[], gone: ReadonlySet<RulesetPart>): Generator<RulesetPart> {
  for (const part of parts) if (!gone.has(part)) yield part;
}
