import { namespacedName } from '../ruleset/ruleset.ts';
import type { ClusterState, IPFamily } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';
import { warnedService } from './event-subjects.ts';
import type { Times } from './service-times.ts';
import type { Refusal } from './sync.ts';

/** One Service of one family, as `/services` tells it. */
export interface ServiceStatus {
  readonly namespace: string;
  readonly name: string;
  readonly family: IPFamily;
  /** Since when it is asked for as it is now. Absent when there is nothing in it that could be asked of a kernel. */
  readonly desired?: Date;
  /** When that was written to the kernel, or found to stand there already. */
  readonly applied?: Date;
  /** When that was last found in the kernel. */
  readonly verified?: Date;
  /** `quarantined`: left out, or kept as it last was, because of an error in it; a warning says which. */
  readonly state: 'ok' | 'pending' | 'quarantined';
  readonly warnings: readonly Warning[];
}

/** What is wrong with the Services of a family. */
export interface ServiceTroubles {
  /** By object, as warnings name it. */
  readonly warnings: ReadonlyMap<string, readonly Warning[]>;
  /** Those that the kernel refused. */
  readonly refusals: readonly Refusal[];
  /** Tells which Service a slice belongs to. */
  readonly state: ClusterState | undefined;
}

/** Every Service of one family, as `/services` shows it, by name; also one that is left out with all its ports. */
export function serviceStatuses(
  family: IPFamily,
  times: readonly Times[],
  { warnings, refusals, state }: ServiceTroubles,
): readonly ServiceStatus[] {
  const byService = new Map<string, Warning[]>();
  for (const [object, found] of warnings) {
    const service = warnedService(object, state);
    if (service !== undefined) byService.set(service, [...(byService.get(service) ?? []), ...found]);
  }
  const refused = new Map(refusals.map((one) => [namespacedName(one.service), one]));
  const served = times.map(({ applied, verified, ...rest }): ServiceStatus => {
    const key = namespacedName(rest);
    const refusal = refused.get(key);
    const own = byService.get(key) ?? [];
    return {
      ...rest,
      family,
      ...(applied !== undefined && refusal === undefined && { applied }),
      ...(verified !== undefined && refusal === undefined && { verified }),
      state: refusal !== undefined ? 'quarantined' : applied === undefined ? 'pending' : 'ok',
      warnings: refusal === undefined ? own : [...own, refusalWarning(key, refusal.reason)],
    };
  });
  const names = new Set(served.map(namespacedName));
  const leftOut = [...warnings].flatMap(([object, found]): ServiceStatus[] => {
    const [kind, path = ''] = object.split(' ');
    if (kind !== 'Service' || names.has(path)) return [];
    const slash = path.indexOf('/');
    const named = { namespace: path.slice(0, slash), name: path.slice(slash + 1) };
    return [{ ...named, family, state: 'quarantined', warnings: found }];
  });
  return [...served, ...leftOut].toSorted(
    (left, right) => compare(left.namespace, right.namespace) || compare(left.name, right.name),
  );
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function refusalWarning(service: string, message: string): Warning {
  return { object: `Service ${service}`, field: 'spec', reason: 'RulesRefused', message };
}
