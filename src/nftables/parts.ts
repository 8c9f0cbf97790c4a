import type { Ruleset, RulesetPart, ServiceName } from '../ruleset/ruleset.ts';

/** What a part of a ruleset exists for. */
export interface PartOrigin {
  /** Identity of the service port over successive rulesets. */
  readonly key: string;
  readonly service: ServiceName;
}

const origins = new WeakMap<RulesetPart, PartOrigin>();

/** Says for which service port a part exists. */
export function describePart(part: RulesetPart, origin: PartOrigin): void {
  origins.set(part, origin);
}

/** The service port for which a part exists; absent for what Services share, and for a listing. */
export function originOf(part: RulesetPart): PartOrigin | undefined {
  return origins.get(part);
}

/** Two rulesets, split into the parts that only one of them has and those that both have. */
export interface SplitParts {
  readonly live: readonly RulesetPart[];
  readonly desired: readonly RulesetPart[];
  /** As many as the rulesets have, so they are looked up in the live one and not copied. */
  readonly common: Iterable<RulesetPart>;
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
