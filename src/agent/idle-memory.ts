import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from './runner.ts';

/** Work in a row is left alone. */
const quietMs = 5_000;
/** A collection of everything costs about three milliseconds for each MiB that stays: it must be worth it. */
const worthwhileBytes = 6 * 1024 * 1024;

/**
 * Gives memory back when nothing happens. Starting on a full node leaves garbage of several times what stays, and V8
 * collects only when more is asked for, which an idle agent never does.
 */
export class IdleMemory {
  readonly #clock: Clock;
  #cancel = (): void => undefined;
  /** The heap at its smallest, once what the last collection freed had gone back. */
  #leastBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something was done; what it left is collected once it is quiet. */
  worked(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(quietMs, () => {
      const collect = collector();
      // In a millisecond: the space for what is new shrinks, when little was asked for of late.
      collect('young');
      if (heapBytes() - this.#leastBytes < worthwhileBytes) return;
      collect('all');
      this.#cancel = this.#clock.after(quietMs, () => {
        collect('young');
        this.#leastBytes = heapBytes();
      });
    });
  }

  stop(): void {
    this.#cancel();
  }
}

function heapBytes(): number {
  return getHeapStatistics().total_heap_size;
}

/** Collects garbage when called. Node offers the collector only behind flags, which may be set while it runs. */
export function collector(): (what: 'young' | 'all') => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  return (what) => {
    // A page goes back only when nothing is left in it, so what stays is moved together.
    setFlagsFromString('--compact-on-every-full-gc');
    collect(what === 'young');
    setFlagsFromString('--no-compact-on-every-full-gc');
  };
}
