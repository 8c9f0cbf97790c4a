import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from './runner.ts';

/** Work in a row is left alone. */
const quietMs = 5_000;
/** A collection costs about a millisecond for each of these that stay: it must be worth it. */
const worthwhileBytes = 24 * 1024 * 1024;

/**
 * Gives memory back when nothing happens. Starting on a full node leaves garbage of several times what stays, and V8
 * collects only when more is asked for, which an idle agent never does.
 */
export class IdleMemory {
  readonly #clock: Clock;
  #cancel = (): void => undefined;
  /** Of the heap, after the last collection. */
  #keptBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something was done; what it left is collected once it is quiet. */
  worked(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(quietMs, () => {
      const { heapTotal } = process.memoryUsage();
      if (heapTotal - this.#keptBytes < worthwhileBytes) return;
      collect();
      this.#keptBytes = process.memoryUsage().heapTotal;
    });
  }

  stop(): void {
    this.#cancel();
  }
}

/** Node offers the collector only behind a flag, which may be set while it runs. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  gc();
}
