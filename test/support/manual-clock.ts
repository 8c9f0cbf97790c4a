/** A clock that stands still until the test moves it. Time is in milliseconds and begins at 0. */
export class ManualClock {
  #now = 0;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Timers that were set and have neither run nor been cancelled. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves on and runs what became due, in order of time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let due = this.#next(end); due !== undefined; due = this.#next(end)) {
      this.#now = due.at;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      due.callback();
    }
    this.#now = end;
  }

  /**
   * Moves on in steps, with real input and output between them, until the condition holds. Throws when it does not
   * within `withinMs` of this clock's time.
   */
  async runUntil(what: string, condition: () => boolean, { withinMs = 60_000, stepMs = 100 } = {}): Promise<void> {
    const end = this.#now + withinMs;
    for (;;) {
      for (let turn = 0; turn < 2; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (condition()) return;
      }
      if (this.#now >= end) throw new Error(`not within ${withinMs} ms of the test's clock: ${what}`);
      this.advance(stepMs);
    }
  }

  /** Moves on in steps, with real input and output between them. */
  async run(ms: number, { stepMs = 100 } = {}): Promise<void> {
    for (const end = this.#now + ms; this.#now < end;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      this.advance(Math.min(stepMs, end - this.#now));
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }

  #next(end: number) {
    const due = this.#timers.filter((timer) => timer.at <= end);
    return due.toSorted((left, right) => left.at - right.at)[0];
  }
}

/** Waits for a condition in real time, generously. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2500; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  throw new Error(`did not happen: ${what}`);
}
