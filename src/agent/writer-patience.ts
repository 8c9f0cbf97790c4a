/** So many repairs in a row are made at once: a person who tries things, a controller that starts. */
const freeStrikes = 6;
/** A strike is forgiven after this time. */
const forgivenAfterMs = 20_000;
const firstWaitMs = 1_000;
const longestWaitMs = 60_000;
const maxRemembered = 1_000;

interface Strikes {
  count: number;
  at: number;
}

/** How soon rules that somebody changes again and again are put right: at once at first, then with growing waits. */
export class WriterPatience {
  readonly #strikes = new Map<string, Strikes>();

  /** These objects had to be looked at, or repaired, because of somebody else. `now` is monotonic milliseconds. */
  strike(objects: Iterable<string>, now: number): void {
    for (const object of objects) {
      const count = this.#count(object, now) + 1;
      this.#strikes.delete(object);
      this.#strikes.set(object, { count, at: now });
      const oldest = this.#strikes.keys().next();
      if (this.#strikes.size > maxRemembered && oldest.done !== true) this.#strikes.delete(oldest.value);
    }
  }

  /** How long to wait before looking at these, from now: as long as the least contested of them asks for. */
  waitMs(objects: readonly string[], now: number): number {
    return Math.min(...objects.map((object) => this.#waitMs(object, now)));
  }

  /** Objects that somebody fights for. */
  contested(objects: readonly string[], now: number): readonly string[] {
    return objects.filter((object) => this.#count(object, now) >= freeStrikes);
  }

  #waitMs(object: string, now: number): number {
    const strikes = this.#strikes.get(object);
    const count = this.#count(object, now);
    if (strikes === undefined || count < freeStrikes) return 0;
    const waitMs = Math.min(firstWaitMs * 2 ** (count - freeStrikes), longestWaitMs);
    return Math.max(0, strikes.at + waitMs - now);
  }

  /** What time has forgiven is taken off, beyond the wait that was asked for. */
  #count(object: string, now: number): number {
    const strikes = this.#strikes.get(object);
    if (strikes === undefined) return 0;
    const peaceMs = now - strikes.at - (strikes.count < freeStrikes ? 0 : longestWaitMs);
    return Math.max(0, strikes.count - Math.max(0, Math.floor(peaceMs / forgivenAfterMs)));
  }
}
