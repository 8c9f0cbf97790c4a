/**
 * How a run ended: `done`; `checked` when nobody had asked for it and nothing was written, so that the next need keep
 * no distance; `busy` when somebody held a lock, so nothing was written and the next try comes soon;
 * `failed` when the next try should leave time for the cause to go away.
 */
export type RunOutcome = 'done' | 'checked' | 'busy' | 'failed';

/** Time as the runner needs it: monotonic milliseconds, and timers. */
export interface Clock {
  now(): number;
  /** Calls back once, not before `delayMs`; returns a function that cancels. */
  after(delayMs: number, callback: () => void): () => void;
}

export interface RunnerOptions {
  /** Least time between the end of a run and the start of the next that somebody requested. */
  readonly minIntervalMs: number;
  /** The longest wait after a failure; waits grow up to it. */
  readonly retryIntervalMs: number;
  /** A run happens at least this often, requested or not. */
  readonly maxIntervalMs: number;
  readonly clock: Clock;
  /** One run. What it throws counts as `failed` and is given to `onError`. */
  readonly run: () => Promise<RunOutcome>;
  readonly onError: (error: unknown) => void;
}

const firstBusyMs = 100;
const longestBusyMs = 1000;
const firstRetryMs = 1000;

/**
 * Runs a job when asked, never twice at once: requests in a burst become one run, runs keep a distance, a failed run
 * is tried again with growing waits, and an idle time ends after the longest interval. Nothing runs before the first
 * request.
 */
export class Runner {
  readonly #options: RunnerOptions;
  #isStopped = false;
  #isRequested = false;
  #running: Promise<void> | undefined;
  #cancelTimer: () => void = () => undefined;
  #endedAt: number | undefined;
  /** The next run by the longest interval. */
  #idleUntil = Infinity;
  /** The next run by `requestWithin`. */
  #deadline = Infinity;
  #retry: { readonly outcome: 'busy' | 'failed'; readonly at: number; readonly waitMs: number } | undefined;

  constructor(options: RunnerOptions) {
    for (const name of ['minIntervalMs', 'retryIntervalMs', 'maxIntervalMs'] as const) {
      if (!(options[name] >= 0)) throw new Error(`runner: ${name} is ${options[name]}, expected 0 or more`);
    }
    this.#options = options;
  }

  /** Asks for a run that begins after this call: at once when idle, else as soon as the least interval allows. */
  request(): void {
    this.#isRequested = true;
    this.#schedule();
  }

  /** Asks for a run at most so many milliseconds from now, whatever the least interval and the waits after failures. */
  requestWithin(delayMs: number): void {
    this.#deadline = Math.min(this.#deadline, this.#options.clock.now() + timerDelay(delayMs));
    this.#schedule();
  }

  /** Starts no further run and waits for the one that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer();
    await this.#running;
  }

  #schedule(): void {
    if (this.#isStopped || this.#running !== undefined) return;
    this.#cancelTimer();
    const waitMs = this.#nextAt() - this.#options.clock.now();
    // Even a run that is due waits for a timer, so that the requests of one turn of the event loop become one run.
    this.#cancelTimer = this.#options.clock.after(timerDelay(waitMs), () => {
      if (this.#nextAt() <= this.#options.clock.now()) this.#start();
      else this.#schedule();
    });
  }

  #nextAt(): number {
    const spacedAt = this.#endedAt === undefined ? -Infinity : this.#endedAt + this.#options.minIntervalMs;
    const retryAt = this.#retryAt(spacedAt);
    // While a lock is held a request could do no more than the coming try.
    const requestedAt = this.#isRequested && this.#retry?.outcome !== 'busy' ? spacedAt : Infinity;
    return Math.min(requestedAt, retryAt, this.#deadline, this.#idleUntil);
  }

  #retryAt(spacedAt: number): number {
    if (this.#retry === undefined) return Infinity;
    // A busy run wrote nothing, so there is nothing to keep a distance from.
    return this.#retry.outcome === 'busy' ? this.#retry.at : Math.max(this.#retry.at, spacedAt);
  }

  #start(): void {
    this.#isRequested = false;
    this.#deadline = Infinity;
    this.#running = this.#runOnce().then(() => {
      this.#running = undefined;
      this.#schedule();
    });
  }

  async #runOnce(): Promise<void> {
    let outcome: RunOutcome;
    try {
      outcome = await this.#options.run();
    } catch (error) {
      outcome = 'failed';
      this.#options.onError(error);
    }
    const now = this.#options.clock.now();
    if (outcome !== 'checked') this.#endedAt = now;
    this.#idleUntil = now + this.#options.maxIntervalMs;
    this.#retry = outcome === 'busy' || outcome === 'failed' ? this.#nextRetry(outcome, now) : undefined;
  }

  #nextRetry(outcome: 'busy' | 'failed', now: number): { outcome: 'busy' | 'failed'; at: number; waitMs: number } {
    const [first, longest] =
      outcome === 'busy' ? [firstBusyMs, longestBusyMs] : [firstRetryMs, this.#options.retryIntervalMs];
    const previous = this.#retry?.outcome === outcome ? this.#retry.waitMs * 2 : first;
    const waitMs = Math.min(previous, longest);
    return { outcome, at: now + waitMs, waitMs };
  }
}

// Node fires longer timers (and NaN) at once.
const longestTimerMs = 2 ** 31 - 1;

function timerDelay(ms: number): number {
  if (Number.isNaN(ms)) return longestTimerMs;
  return Math.min(Math.max(0, Math.ceil(ms)), longestTimerMs);
}

/** The process's monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};
