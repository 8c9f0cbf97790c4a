import type { ProxyModel } from '../model/model.ts';
import type { Change } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import type { Backend } from './backend.ts';
import type { Written } from './family-handlers.ts';
import { sync } from './sync.ts';
import type { Refusal } from './sync.ts';

export interface StagedWriteOptions {
  readonly live: Ruleset;
  readonly isWithheld: (service: ServiceName) => boolean;
  /** After each stage: the Services that the next one must not touch. */
  readonly onRefused: (refusals: readonly Refusal[]) => void;
}

/** Makes one model true after the other; what cannot be made true for a Service is left out. Throws as `sync` does. */
export async function writeInStages(
  backend: Backend,
  stages: readonly ProxyModel[],
  { live, isWithheld, onRefused }: StagedWriteOptions,
): Promise<Written> {
  const written = { changes: [] as Change[], refusals: [] as Refusal[], leftovers: [] as string[], live };
  for (const stage of stages) {
    const result = await sync(backend, stage, { live: written.live, isWithheld, keepGoing: true });
    onRefused(result.refusals);
    const refused = new Set(result.refusals.map(({ service }) => namespacedName(service)));
    for (const change of result.plan.changes) {
      const { service } = change;
      if (service === undefined || !refused.has(namespacedName(service))) written.changes.push(change);
    }
    written.refusals.push(...result.refusals);
    written.leftovers.push(...result.leftovers);
    written.live = result.live;
  }
  return written;
}
