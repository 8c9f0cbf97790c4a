import type { Effects } from './effects.ts';
import type { Recovery, WatchEnd } from './recovery.ts';
import { backOffMs } from './recovery.ts';

/** No two attempts begin closer together than this, whatever goes wrong. */
export const leastSpacingMs = 1000;
/** A stream that worked for so long was healthy: what ends it is the first failure. */
const healthyMs = 10_000;

/** What to wait for before the next attempt. */
export interface Pause {
  readonly waitMs: number;
  /** It may end early when the server takes connections again. */
  readonly untilReachable: boolean;
}

/** How the attempts to follow a resource go, one after the other, and how far apart they are to be. */
export class Attempts {
  readonly #effects: Pick<Effects, 'clock' | 'random'>;
  #beganAt = 0;
  /** Since when the present one works. */
  #healthySince: number | undefined;
  /** The present one got as far as a stream, and the one before. */
  #isOpen = false;
  #wasOpen = false;
  /** How the last stream ended that no other has taken the place of. */
  #lastEnd: WatchEnd | undefined;
  /** In a row, without a healthy time between. */
  #failures = 0;

  constructor(effects: Pick<Effects, 'clock' | 'random'>) {
    this.#effects = effects;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get failures(): number {
    return this.#failures;
  }

  begin(): void {
    this.#beganAt = this.#effects.clock.now();
    this.#healthySince = undefined;
    this.#wasOpen = this.#isOpen;
    this.#isOpen = false;
  }

  /** A stream was opened. `replaced`: how the one ended whose place it takes. */
  opened(): { readonly isGoodSign: boolean; readonly replaced: WatchEnd | undefined } {
    const replaced = this.#lastEnd;
    this.#lastEnd = undefined;
    this.#isOpen = true;
    // After a stream that failed, only a good event shows that the next is better.
    return { isGoodSign: !this.#wasOpen, replaced };
  }

  /** Something good came. */
  heard(): void {
    this.#healthySince ??= this.#effects.clock.now();
  }

  /** The server ended the stream in good order. */
  ended(): Pause {
    this.#noteEnd('timeout');
    return { waitMs: this.spacingMs(), untilReachable: false };
  }

  failed(end: WatchEnd, plan: Recovery): Pause {
    this.#noteEnd(end);
    this.#failures += 1;
    const isFirst = plan.wait === 'soon' && this.#failures === 1;
    const growing = isFirst ? 0 : backOffMs(this.#failures, plan.capMs, this.#effects.random);
    return { waitMs: Math.max(growing, plan.leastMs, this.spacingMs()), untilReachable: plan.untilReachable };
  }

  /** The server is back: whatever it says while it starts up is the first failure of a new time. */
  reachable(): void {
    this.#failures = 0;
  }

  /** How long until the next may begin at all. */
  spacingMs(): number {
    return Math.max(0, this.#beganAt + leastSpacingMs - this.#effects.clock.now());
  }

  #noteEnd(end: WatchEnd): void {
    if (this.#isOpen) this.#lastEnd = end;
    if (this.#healthySince === undefined) return;
    if (this.#effects.clock.now() - this.#healthySince >= healthyMs) this.#failures = 0;
  }
}
