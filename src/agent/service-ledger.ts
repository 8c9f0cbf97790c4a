import type { ProxyModel, ServicePort, Warning } from '../model/model.ts';
import type { IPFamily } from '../source/objects.ts';

/** One Service of one family, as `/services` tells it. */
export interface ServiceStatus {
  readonly namespace: string;
  readonly name: string;
  readonly family: IPFamily;
  /** Since when it is asked for as it is now. */
  readonly desired: Date;
  /** When that was written to the kernel, or found to stand there already. */
  readonly applied?: Date;
  /** When that was last found in the kernel. */
  readonly verified?: Date;
  /** `quarantined`: left out, or kept as it last was, because of an error in it; a warning says which. */
  readonly state: 'ok' | 'pending' | 'quarantined';
  readonly warnings: readonly Warning[];
}

interface Entry {
  readonly namespace: string;
  readonly name: string;
  readonly desired: Date;
  readonly applied?: Date;
}

/**
 * Keeps what was asked for, written and found, for each Service of one family. What it costs follows the number of
 * Services that changed, by the identity of their service ports, not the number there are.
 */
export class ServiceLedger {
  readonly #now: () => Date;
  readonly #entries = new Map<string, Entry>();
  /** Asked for, not applied yet. */
  readonly #pending = new Set<string>();
  /** Asked for, but no rule can be made of them. */
  readonly #refused = new Map<string, Entry>();
  #quarantined: ReadonlyMap<string, Warning> = new Map();
  #verified: Date | undefined;
  #model: ProxyModel | undefined;

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** What the model asks for is the desired state from now on. */
  desired(model: ProxyModel): void {
    const { changed, removed } = changedServices(this.#model?.servicePorts ?? [], model.servicePorts);
    const desired = this.#now();
    for (const key of removed) {
      this.#entries.delete(key);
      this.#pending.delete(key);
    }
    for (const [key, { namespace, name }] of changed) {
      this.#entries.set(key, { namespace, name, desired });
      this.#pending.add(key);
    }
    this.#refuse(model);
    this.#model = model;
  }

  /** A sync of the desired state succeeded, but for these Services (`namespace/name`), each with the reason. */
  applied(quarantined: ReadonlyMap<string, Warning>): void {
    const applied = this.#now();
    for (const key of this.#pending) {
      const entry = this.#entries.get(key);
      if (entry === undefined || quarantined.has(key)) continue;
      this.#entries.set(key, { ...entry, applied });
      this.#pending.delete(key);
    }
    this.#quarantined = quarantined;
  }

  /** All that is applied was found in the kernel. */
  verified(): void {
    this.#verified = this.#now();
  }

  /** Sorted by namespace and name. */
  statuses(): readonly ServiceStatus[] {
    if (this.#model === undefined) return [];
    const { family } = this.#model;
    const warnings = warningsByService(this.#model.warnings);
    const verified = this.#verified;
    return [...this.#entries, ...this.#refused].sort(byKey).map(([key, entry]) => {
      const quarantine = this.#quarantined.get(key);
      const own = warnings.get(key) ?? [];
      const isVerified = verified !== undefined && entry.applied !== undefined && verified >= entry.applied;
      return {
        ...entry,
        family,
        ...(isVerified && { verified }),
        state: this.#state(key),
        warnings: quarantine === undefined ? own : [...own, quarantine],
      };
    });
  }

  #state(key: string): ServiceStatus['state'] {
    if (this.#quarantined.has(key) || this.#refused.has(key)) return 'quarantined';
    return this.#pending.has(key) ? 'pending' : 'ok';
  }

  /** Services that are warned about and of which nothing is left to make rules of. */
  #refuse({ warnings }: ProxyModel): void {
    const before = new Map(this.#refused);
    this.#refused.clear();
    for (const key of warningsByService(warnings).keys()) {
      if (this.#entries.has(key)) continue;
      const [namespace = '', name = ''] = key.split('/');
      this.#refused.set(key, before.get(key) ?? { namespace, name, desired: this.#now() });
    }
  }
}

interface Changes {
  /** By `namespace/name`, with one of the ports they have now. */
  readonly changed: ReadonlyMap<string, ServicePort>;
  readonly removed: ReadonlySet<string>;
}

/** A service port that did not change is the same object in both lists, and most often all before and after it too. */
function changedServices(before: readonly ServicePort[], now: readonly ServicePort[]): Changes {
  let start = 0;
  while (start < now.length && before[start] === now[start]) start++;
  let end = 0;
  while (end < now.length - start && before.at(-1 - end) === now.at(-1 - end)) end++;
  const kept = new Set(before.slice(start, before.length - end));
  const changed = new Map<string, ServicePort>();
  for (const port of now.slice(start, now.length - end)) if (!kept.delete(port)) changed.set(keyOf(port), port);
  // What is left was taken away, or replaced by what has just been found.
  const removed = new Set([...kept].map(keyOf).filter((key) => !changed.has(key)));
  if (removed.size > 0) {
    for (const port of now) {
      const key = keyOf(port);
      // It only lost one of several ports: still there, but changed.
      if (removed.delete(key)) changed.set(key, port);
    }
  }
  return { changed, removed };
}

function keyOf({ namespace, name }: Pick<ServicePort, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

function warningsByService(warnings: readonly Warning[]): ReadonlyMap<string, readonly Warning[]> {
  const byService = new Map<string, Warning[]>();
  for (const warning of warnings) {
    const [kind, key] = warning.object.split(' ');
    if (kind !== 'Service' || key === undefined) continue;
    const known = byService.get(key);
    if (known === undefined) byService.set(key, [warning]);
    else known.push(warning);
  }
  return byService;
}

function byKey([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1;
}
