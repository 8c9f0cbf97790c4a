/** Time as the source needs it: monotonic milliseconds, and timers. */
export interface Clock {
  now(): number;
  /** Calls back once, not before `delayMs`; returns a function that cancels. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Where the source says what a person should know. Messages are constant, data goes into fields. */
export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  debug(level: number, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What the source takes from the outside world besides the network. */
export interface Effects {
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
  readonly log: Log;
}

/** Resolves after `delayMs`, or at once when the signal is aborted. */
export async function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const finish = () => {
      cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.after(Math.max(0, delayMs), finish);
    signal.addEventListener('abort', finish);
  });
}
