import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from './runner.ts';

/** Work in a row is left alone. */
const quietMs = 5_000;
/** A collection costs about three milliseconds for each MiB that stays: it must be worth it. */
const worthwhileBytes = 16 * 1024 * 1024;

/**
 * Gives memory back when nothing happens. Starting on a full node leaves garbage of several times what stays, and V8
 * collects only when more is asked for, which an idle agent never does.
 */
export class IdleMemory {
  readonly #clock: Clock;
  #cancel = (): void => undefined;
  /** What was in use after the last collection. The heap is larger for a while: its pages are freed beside us. */
  #usedBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something was done; what it left is collected once it is quiet. */
  worked(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(quietMs, () => {
      if (process.memoryUsage().heapTotal - this.#usedBytes < worthwhileBytes) return;
      const collect = collector();
      collect();
      this.#usedBytes = process.memoryUsage().heapUsed;
      // The space for what is new shrinks only when little was asked for before a collection; this one is short.
      this.#cancel = this.#clock.after(quietMs, () => {
        collect(true);
      });
    });
  }

  stop(): void {
    this.#cancel();
  }
}

/** Node offers the collector only behind flags, which may be set while it runs. */
function collector(): (ofYoungOnly?: boolean) => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  return (ofYoungOnly = false) => {
    // A page goes back only when nothing is left in it, so what stays is moved together.
    setFlagsFromString('--compact-on-every-full-gc');
    collect(ofYoungOnly);
    setFlagsFromString('--no-compact-on-every-full-gc');
  };
}
