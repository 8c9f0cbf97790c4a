import { hostAddresses } from '../kernel/interfaces.ts';
import type { Follow, Following } from '../kernel/follow.ts';
import type { Run } from '../kernel/run.ts';
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
/** Where the kernel's notices cannot be had. */
const pollMs = 5_000;

/** Tells the addresses of this host's interfaces until stopped; by notice of the kernel, and where there is none by looking. */
export function watchHost(options: HostWatchOptions): { stop(): void } {
  const { clock, follow } = options;
  let following: Following | undefined;
  let cancelRead = (): void => undefined;
  let cancelStart = (): void => undefined;
  let isStopped = false;
  let last: string | undefined;

  const read = async (): Promise<void> => {
    try {
      const found = await hostAddresses(options.run);
      const addresses = [...new Set(found.map(({ address }) => address))].sort();
      const text = addresses.join(' ');
      if (isStopped || text === last) return;
      last = text;
      options.onAddresses(addresses);
    } catch (error) {
      options.onError(error);
    }
  };
  const readSoon = (): void => {
    cancelRead();
    cancelRead = clock.after(settleMs, () => void read());
  };
  const start = (): void => {
    following = follow('ip', ['monitor', 'address'], {
      onLine: readSoon,
      onEnd: () => {
        if (isStopped) return;
        cancelStart = clock.after(pollMs, start);
      },
    });
    // What changed before the kernel's first notice.
    void read();
    readSoon();
  };
  start();
  return {
    stop: () => {
      isStopped = true;
      cancelRead();
      cancelStart();
      following?.stop();
    },
  };
}
