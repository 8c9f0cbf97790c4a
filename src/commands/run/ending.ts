import type { Logger } from '../../log.ts';
import type { CommandEffects } from '../command.ts';

/** What ends an agent: a signal from outside, or a reason that it found itself. Gives the exit code. */
export interface Ending {
  readonly whenEnded: Promise<number>;
  readonly fail: (reason: string) => void;
}

/** Ends once, for whatever comes first; what follows from a signal is no failure. */
export function ending({ signal }: CommandEffects, logger: Logger): Ending {
  let end: (exitCode: number) => void = () => undefined;
  const whenEnded = new Promise<number>((resolve) => {
    end = resolve;
  });
  let isEnding = false;
  const stop = () => {
    isEnding = true;
    logger.info('told to end; the rules stay');
    end(0);
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return {
    whenEnded,
    fail: (reason) => {
      // Whoever ends all our processes at once, as systemd does, ends what we depend on too.
      if (isEnding) return;
      isEnding = true;
      logger.error('the agent ends; the rules stay', { reason });
      end(1);
    },
  };
}
