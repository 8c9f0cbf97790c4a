import { withFamilies } from './admission/cluster-ip-fields.ts';
import { withDefaults } from './admission/service-defaults.ts';
import { serviceCauses } from './admission/service-validation.ts';
import { claim, claimStored, heldBy, nameOf } from './allocation.ts';
import type { Pools, Refusal } from './allocation.ts';
import { chooseRest } from './allocation-choice.ts';
import { isStored, placeOf, refusal } from './manifest-entry.ts';
import type { Entry } from './manifest-entry.ts';
import type { Service } from './objects.ts';
import type { Problem } from './problem.ts';
import type { Warning } from './warning.ts';

export interface ServiceEntry {
  readonly entry: Entry;
  /** As decoded. */
  readonly service: Service;
}

/**
 * The Services as the API server would store them, in the order given. Stored ones keep what they have; then comes
 * what others ask for, in order; then what is left to choose, in an order of its own.
 */
export function admitServices(
  given: readonly ServiceEntry[],
  pools: Pools,
): {
  readonly services: readonly Service[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
} {
  const problems: Problem[] = [];
  const warnings: Warning[] = [];
  const admitted = new Map<Entry, Service>();
  const unfinished: ServiceEntry[] = [];
  for (const { entry, service } of given) {
    if (!isStored(entry)) continue;
    claimStored(service, () => place(entry), pools);
    admitted.set(entry, service);
  }
  for (const { entry, service } of given) {
    if (isStored(entry)) continue;
    const result = admit(entry, service, pools);
    if ('refused' in result) problems.push(...result.refused);
    else unfinished.push({ entry, service: result.service });
  }
  for (const { entry, service } of unfinished.toSorted(byName)) {
    const result = chooseRest(service, () => place(entry), pools);
    if ('message' in result) {
      problems.push(allocationProblem(entry, service, result));
      continue;
    }
    warnings.push(...result.warnings);
    admitted.set(entry, result.service);
  }
  return { services: given.flatMap(({ entry }) => admitted.get(entry) ?? []), problems, warnings };
}

function admit(
  entry: Entry,
  given: Service,
  pools: Pools,
): { readonly service: Service } | { readonly refused: readonly Problem[] } {
  const { metadata } = given;
  const { generateName } = metadata as { generateName?: string };
  if (metadata.name === '' && generateName !== undefined) {
    return {
      refused: [refusal(entry, metadata, [], { message: `from ${generateName}: cannot use generate name with apply` })],
    };
  }
  const settled = withFamilies(withDefaults(given), [...pools.clusterIPs.keys()]);
  if (settled.causes.length > 0) return { refused: [refusal(entry, metadata, settled.causes)] };
  const claimed = claim(settled.service, () => place(entry), pools);
  if ('message' in claimed) {
    // The server would tell the rest at the next attempt.
    const known = new Set(claimed.causes.map(({ field }) => field));
    const more = serviceCauses(settled.service).filter(({ field }) => !known.has(field));
    const first = allocationProblem(entry, given, claimed);
    return { refused: more.length === 0 ? [first] : [first, refusal(entry, metadata, more)] };
  }
  const causes = serviceCauses(claimed.service);
  if (causes.length === 0) return { service: claimed.service };
  claimed.release();
  return { refused: [refusal(entry, metadata, causes)] };
}

function allocationProblem(entry: Entry, { metadata }: Service, { message, causes, holder }: Refusal): Problem {
  return refusal(entry, metadata, causes, { message, ...(holder && { detail: heldBy(holder) }) });
}

function place({ document, path }: Entry): string {
  const line = path.length === 0 ? document.line : (placeOf(document, path).line ?? document.line);
  return `${document.file}:${line}`;
}

function byName(left: ServiceEntry, right: ServiceEntry): number {
  const [a, b] = [nameOf(left.service), nameOf(right.service)];
  return a < b ? -1 : a > b ? 1 : 0;
}
