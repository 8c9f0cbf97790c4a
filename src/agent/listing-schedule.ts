/** What decides when the live rules are read again although nobody is known to have changed them. */
export interface ListingScheduleOptions {
  /** The kernel tells of foreign commits; otherwise only reading does. */
  readonly isWatched: boolean;
  /** The longest time between two readings. */
  readonly maxIntervalMs: number;
}

const afterWriteMs = 5_000;
/** Unwatched drift is to be repaired within 30 s. */
const longestUnwatchedMs = 25_000;
/** Of watched rules reading is a precaution: it may take this part of our time. */
const leastIdleTimes = 300;

/** So many looks in a row may miss what was just written before the next has to wait. */
const freeLooks = 3;
const firstLookWaitMs = 1_000;
const longestLookWaitMs = 60_000;

/** When to read the live rules next: soon after a write, then less and less often. */
export class ListingSchedule {
  readonly #options: ListingScheduleOptions;
  #at = -Infinity;
  #waitMs = afterWriteMs;
  #lastTookMs = 0;
  /** Looks in a row that did not find what had just been written. */
  #missed = 0;

  constructor(options: ListingScheduleOptions) {
    this.#options = options;
  }

  /** When the next reading is due, by the clock: at once before the first, Infinity while none is planned. */
  get at(): number {
    return this.#at;
  }

  /** A reading is due at this time, or sooner if it was. */
  plan(at: number): void {
    this.#at = Math.min(this.#at, at);
  }

  /** A planned reading is not due before this time. */
  postpone(at: number): void {
    this.#at = Math.max(this.#at, at);
  }

  /** A reading begins: whoever commits from now on makes another necessary. */
  begun(): void {
    this.#at = Infinity;
  }

  /** A look did not find what was written before it, or found more. */
  missed(): void {
    this.#missed += 1;
  }

  /** A look found what was written, and nothing else. */
  verified(): void {
    this.#missed = 0;
  }

  /**
   * How long to wait before the look that is to verify what was written: not at all, unless one after the other misses
   * it. Then the tools print something else than they loaded, and to write it again and again makes nothing better.
   */
  beforeLook(): number {
    const waits = this.#missed - freeLooks;
    return waits <= 0 ? 0 : Math.min(firstLookWaitMs * 2 ** (waits - 1), longestLookWaitMs);
  }

  /** How long to wait after something was written. */
  afterWrite(): number {
    this.#waitMs = afterWriteMs;
    return this.#options.isWatched ? Math.max(afterWriteMs, this.#lastTookMs * leastIdleTimes) : afterWriteMs;
  }

  /** How long to wait after a reading that took so long and found what it should. */
  afterListing(tookMs: number): number {
    this.#lastTookMs = tookMs;
    if (this.#options.isWatched) return this.#options.maxIntervalMs;
    this.#waitMs = Math.min(this.#waitMs * 2, longestUnwatchedMs);
    return Math.min(this.#waitMs, this.#options.maxIntervalMs);
  }
}
