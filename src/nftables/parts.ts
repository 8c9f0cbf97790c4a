import type { RulesetPart, ServiceName } from '../ruleset/ruleset.ts';

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
