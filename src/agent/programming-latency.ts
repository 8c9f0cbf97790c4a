import type { IPFamily } from '../source/objects.ts';
import type { EndpointTrigger } from '../source/state-source.ts';

/** Since when changes of endpoints wait to be programmed, for one family. What changed before we began was not ours to do. */
export class ProgrammingLatency {
  readonly #family: IPFamily;
  readonly #begin: Date;
  /** By Service, milliseconds since the epoch: what no sync has taken up yet. */
  readonly #waiting = new Map<string, number>();
  /** The same: what syncs have taken up, but none has finished. */
  readonly #underWay = new Map<string, number>();

  constructor(family: IPFamily, begin: Date) {
    this.#family = family;
    this.#begin = begin;
  }

  note(triggers: readonly EndpointTrigger[]): void {
    for (const { service, addressType, changedAt } of triggers) {
      if (addressType !== this.#family) continue;
      const at = changedAt === undefined ? NaN : Date.parse(changedAt);
      if (Number.isNaN(at)) {
        this.#waiting.delete(service);
        this.#underWay.delete(service);
      } else if (at >= this.#begin.getTime()) keepFirst(this.#waiting, service, at);
    }
  }

  /** A sync takes up what waits. */
  begun(): void {
    for (const [service, at] of this.#waiting) keepFirst(this.#underWay, service, at);
    this.#waiting.clear();
  }

  /** What was taken up is in the kernel: the seconds that each took. */
  programmed(now: Date): readonly number[] {
    const seconds = [...this.#underWay.values()].map((at) => Math.max(0, now.getTime() - at) / 1000);
    this.#underWay.clear();
    return seconds;
  }
}

function keepFirst(times: Map<string, number>, service: string, at: number): void {
  times.set(service, Math.min(at, times.get(service) ?? Infinity));
}
