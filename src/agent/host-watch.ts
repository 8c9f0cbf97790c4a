import { hostAddresses } from '../kernel/interfaces.ts';
import type { Follow, Following } from '../kernel/follow.ts';
import type { Run } from '../kernel/run.ts';
import { Runner } from './runner.ts';
import type { Clock } from './runner.ts';

export interface HostWatchOptions {
  readonly follow: Follow;
  readonly run: Run;
  readonly clock: Clock;
  /** Called with the addresses of all interfaces, at first and whenever they are others. */
  readonly onAddresses: (addresses: readonly string[]) => void;
  /** Reading did not work; it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** Addresses come and go in groups. */
const settleMs = 200;
/** By then the kernel's notices are told, however busy the host is. */
const listeningMs = 2_000;
/** Where the kernel's notices cannot be had. */
const pollMs = 5_000;
const longestRetryMs = 30_000;

/** Tells the addresses of this host's interfaces until stopped; by notice of the kernel, and where there is none by looking. */
export function watchHost({ clock, follow, run, onAddresses, onError }: HostWatchOptions): { stop(): void } {
  let following: Following | undefined;
  let cancelStart = (): void => undefined;
  let cancelLook = (): void => undefined;
  let isStopped = false;
  let last: string | undefined;

  // One reading at a time: of two the slower one would have the last word, and it may have looked first.
  const reading = new Runner({
    ...{ minIntervalMs: 0, retryIntervalMs: longestRetryMs, maxIntervalMs: Infinity, clock, onError },
    run: async () => {
      const found = await hostAddresses(run);
      const addresses = [...new Set(found.map(({ address }) => address))].sort();
      const text = addresses.join(' ');
      if (!isStopped && text !== last) {
        last = text;
        onAddresses(addresses);
      }
      return 'done';
    },
  });
  const start = (): void => {
    following = follow('ip', ['monitor', 'address'], {
      onLine: () => {
        reading.requestWithin(settleMs);
      },
      onEnd: () => {
        if (!isStopped) cancelStart = clock.after(pollMs, start);
      },
    });
    reading.request();
    // What changed before the kernel's first notice.
    cancelLook();
    cancelLook = clock.after(listeningMs, () => {
      reading.request();
    });
  };
  start();
  return {
    stop: () => {
      isStopped = true;
      cancelLook();
      cancelStart();
      following?.stop();
      void reading.stop();
    },
  };
}
