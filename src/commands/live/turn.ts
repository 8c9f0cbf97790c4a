import { claimTurn, instanceHolder, turnHolder } from '../../kernel/instance-lock.ts';
import type { LockHolder } from '../../kernel/lock-holder.ts';
import type { CommandEffects } from '../command.ts';
import { TroubleError } from '../failure.ts';
import type { Kernel } from './kernel.ts';

/** Longer than any sync takes; whoever holds the turn longer hangs. */
const longestWaitSeconds = 120;
const silentWaitMs = 2_000;

/**
 * Reads and changes the rules of this network namespace while no other apply or cleanup does: two that plan on the
 * same rules would add a jump twice, or take away what the other needs. The agent takes no turns, since it keeps its
 * rules for ever: who works beside it is told so. Throws TroubleError when the turn never comes.
 */
export async function inTurn<T>(kernel: Kernel, effects: CommandEffects, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => {
    void turnHolder(kernel).then((holder) => {
      effects.say(`waiting for ${holderName(holder)}, which changes the rules of this node`);
    });
  }, silentWaitMs);
  const claim = await claimTurn(kernel, longestWaitSeconds).finally(() => {
    clearTimeout(timer);
  });
  if (!claim.isOurs) {
    const holder = holderName(claim.holder);
    throw new TroubleError(
      `${holder} has been changing the rules of this node for ${longestWaitSeconds} s; nothing was changed, try again once it has ended`,
    );
  }
  try {
    await warnOfAgent(kernel, effects);
    return await work();
  } finally {
    claim.release();
  }
}

async function warnOfAgent(kernel: Kernel, effects: CommandEffects): Promise<void> {
  const agent = await instanceHolder(kernel);
  if (agent === undefined) return;
  effects.say(
    `warning: the agent ${holderName(agent)} keeps the rules of this node and will undo what it does not want`,
  );
}

/** Who holds a lock, as messages name it. */
export function holderName(holder: LockHolder | undefined): string {
  return holder === undefined ? 'a process out of sight' : `${holder.name} (process ${holder.pid})`;
}
