import type { Socket } from 'node:net';
import type { Clock } from './effects.ts';

const probeEveryMs = 700;
const probeTimeoutMs = 2000;

/**
 * Finds out when a server that could not be connected to is back, by one connection at a time for everybody who
 * waits, opened as requests open theirs with nothing said on it: a cheap question that can be asked each second for hours while requests back off to half a minute.
 */
export class Reachability {
  readonly #open: (signal: AbortSignal) => Promise<Socket>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #waiting = new Set<() => void>();
  /** Ends the probe that is waited for or under way. */
  #endProbe: (() => void) | undefined;

  /** `open` ends early when its signal is aborted. */
  constructor(
    open: (signal: AbortSignal) => Promise<Socket>,
    effects: { readonly clock: Clock; readonly random: () => number },
  ) {
    this.#open = open;
    this.#clock = effects.clock;
    this.#random = effects.random;
  }

  /** Resolves when a connection succeeded, or when the signal is aborted. */
  async wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const finish = () => {
        signal.removeEventListener('abort', finish);
        this.#waiting.delete(finish);
        if (this.#waiting.size === 0) this.#endProbe?.();
        resolve();
      };
      signal.addEventListener('abort', finish);
      this.#waiting.add(finish);
      this.#probeLater();
    });
  }

  #probeLater(): void {
    if (this.#endProbe !== undefined || this.#waiting.size === 0) return;
    // Spread, so that the proxies of a thousand nodes do not all return in the same instant.
    const cancel = this.#clock.after(probeEveryMs * (0.7 + 0.3 * this.#random()), () => {
      this.#probe();
    });
    this.#endProbe = () => {
      cancel();
      this.#endProbe = undefined;
    };
  }

  #probe(): void {
    const probe = new AbortController();
    const end = () => {
      cancel();
      probe.abort();
      this.#endProbe = undefined;
    };
    const again = () => {
      if (probe.signal.aborted) return;
      end();
      this.#probeLater();
    };
    const cancel = this.#clock.after(probeTimeoutMs, again);
    this.#endProbe = end;
    this.#open(probe.signal).then((socket) => {
      socket.destroy();
      if (probe.signal.aborted) return;
      end();
      for (const wake of [...this.#waiting]) wake();
    }, again);
  }
}
