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
  #waitMs = afterWriteMs;
  #lastTookMs = 0;

  constructor(options: ListingScheduleOptions) {
    this.#options = options;
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
