import type { LogFields } from '../log-line.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Change } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { Synced } from './family-handlers.ts';

/** So many names fit in a line. */
const maxNamed = 5;

/** The fields of the one line that a sync logs: what changed, for which Services, and how long each stage took. */
export function syncFields({
  changes,
  stages,
  tookMs,
  model,
}: Pick<Synced, 'changes' | 'stages' | 'tookMs' | 'model'>): LogFields {
  const services = changes.flatMap(({ service }) => (service === undefined ? [] : [namespacedName(service)]));
  return {
    family: model.family,
    services: fewOf(services),
    ...changeCounts(changes),
    ms: Object.fromEntries([...stages].map(([stage, ms]) => [stage, Math.round(ms * 10) / 10])),
    tookMs: Math.round(tookMs),
  };
}

/** Distinct names, the first of them, then how many there are besides. */
export function fewOf(names: Iterable<string>): string {
  const distinct = [...new Set(names)];
  if (distinct.length === 0) return 'none';
  const rest = distinct.length - maxNamed;
  return distinct.slice(0, maxNamed).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** Objects by kind of change. */
export function changeCounts(changes: readonly Change[]): Readonly<Record<Change['kind'], number>> {
  const counts = { add: 0, change: 0, delete: 0 };
  for (const { kind } of changes) counts[kind] += 1;
  return counts;
}

/** Service ports that, with a Local policy, have endpoints somewhere but none here. */
export function withoutLocalEndpoints({ servicePorts }: ProxyModel): { internal: number; external: number } {
  const counts = { internal: 0, external: 0 };
  for (const port of servicePorts) {
    if (!port.hasEndpoints || port.localEndpoints.length > 0) continue;
    if (port.internalPolicy === 'Local') counts.internal += 1;
    if (port.externalPolicy === 'Local' && port.isExternal) counts.external += 1;
  }
  return counts;
}
