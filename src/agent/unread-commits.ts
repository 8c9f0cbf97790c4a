import { unknownObject } from './foreign-commit.ts';
import type { Writer } from './foreign-commit.ts';
import { WriterPatience } from './writer-patience.ts';

const maxWriters = 20;
const maxTouched = 100;
const peaceMs = 10_000;
/** So many readings in a row may find nothing before the next has to wait; its wait grows to so many times what it takes. */
const freeReadings = 3;
const longestRestTimes = 10;

/** Commits of others that no reading has looked at yet, and how long they may wait for one. Times are monotonic milliseconds. */
export class UnreadCommits {
  readonly #patience = new WriterPatience();
  #writers: Writer[] = [];
  #touched = new Set<string>();
  /** Readings in a row that somebody's commits made necessary and that found nothing. */
  #fruitless = 0;
  #restUntil = -Infinity;

  get isEmpty(): boolean {
    return this.#touched.size === 0;
  }

  /** Whoever writes much beside our rules must not keep us reading: nothing is read before this time. */
  get restUntil(): number {
    return this.#restUntil;
  }

  add(touched: readonly string[], writer: Writer): void {
    if (this.#writers.length < maxWriters) this.#writers.push(writer);
    for (const object of touched) if (this.#touched.size < maxTouched) this.#touched.add(object);
  }

  /** There may be some that were not told. */
  addUnknown(): void {
    this.#touched.add(unknownObject);
  }

  /** How long a commit to these may wait. */
  waitMs(touched: readonly string[], now: number): number {
    return Math.max(this.#patience.waitMs(touched, now), this.#restUntil - now, 0);
  }

  /** Those of them that somebody fights for. */
  contested(touched: readonly string[], now: number): readonly string[] {
    return this.#patience.contested(touched, now);
  }

  /** A reading begins, which will see what all of these did. */
  take(): { readonly writers: readonly Writer[]; readonly touched: readonly string[] } {
    const taken = { writers: this.#writers, touched: [...this.#touched] };
    this.#writers = [];
    this.#touched = new Set();
    return taken;
  }

  /** The reading found that these objects were changed. */
  foundChanged(objects: readonly string[], touched: readonly string[], now: number): void {
    this.#patience.strike(new Set([...touched, ...objects.slice(0, maxTouched)]), now);
    this.#fruitless = 0;
  }

  /** The reading, which took so long, found nothing changed. */
  foundNothing(touched: readonly string[], tookMs: number, now: number): void {
    if (touched.length === 0 || now - this.#restUntil > peaceMs) this.#fruitless = 0;
    if (touched.length > 0) this.#fruitless += 1;
    this.#restUntil = now + tookMs * Math.min(Math.max(0, this.#fruitless - freeReadings), longestRestTimes);
  }
}
