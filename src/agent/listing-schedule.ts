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

/** When to read the live rules next: soon after a write, then less and less often. */
export class ListingSchedule {
  readonly #options: ListingScheduleOptions;
  #at = -Infinity;
  #waitMs = afterWriteMs;
  #lastTookMs = 0;

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
