import type { IPFamily } from '../source/objects.ts';
import type { EndpointTrigger } from '../source/state-source.ts';

/** Since when changes of endpoints wait to be programmed, for one family. What changed before we began was not ours to do. */
export class ProgrammingLatency {
  readonly #family: IPFamily;
  readonly #begin: Date;
  /** By Service, milliseconds since the epoch. */
  readonly #since = new Map<string, number>();

  constructor(family: IPFamily, begin: Date) {
    this.#family = family;
    this.#begin = begin;
  }

  note(triggers: readonly EndpointTrigger[]): void {
    for (const { service, addressType, changedAt } of triggers) {
      if (addressType !== this.#family) continue;
      const at = changedAt === undefined ? NaN : Date.parse(changedAt);
      if (Number.isNaN(at)) this.#since.delete(service);
      else if (at >= this.#begin.getTime())
        this.#since.set(service, Math.min(at, this.#since.get(service) ?? Infinity));
    }
  }

  /** What waited until now is in the kernel: the seconds that each took. */
  programmed(now: Date): readonly number[] {
    const seconds = [...this.#since.values()].map((at) => Math.max(0, now.getTime() - at) / 1000);
    this.#since.clear();
    return seconds;
  }
}
