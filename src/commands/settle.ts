import { sync } from '../agent/sync.ts';
import type { SyncResult } from '../agent/sync.ts';
import type { Backend } from '../agent/backend.ts';
import type { ProxyModel } from '../model/model.ts';

/** Two who change the same rules at once need as many rounds as they are; more than these do it all the time. */
const maxRounds = 10;

/** Of the first round; each later one may wait longer by as much. */
const longestPauseMs = 200;

/**
 * Syncs, and reads again what was written until it is what it should be: whoever planned on the same rules at the
 * same time removed a jump twice, or added it twice. Whoever writes last reads last, so that somebody always sees it.
 * Throws as `sync` does, and when others never stop.
 */
export async function settle(
  backend: Backend,
  model: ProxyModel,
  keepGoing: boolean,
  pause: (milliseconds: number) => Promise<unknown>,
): Promise<SyncResult> {
  const first = await sync(backend, model, { keepGoing });
  const refused = new Set(first.refusals.map(({ service }) => `${service.namespace}/${service.name}`));
  const isWithheld = ({ namespace, name }: { namespace: string; name: string }) => refused.has(`${namespace}/${name}`);
  let { plan } = first;
  for (let round = 1; plan.scripts.length > 0; round++) {
    plan = backend.plan(await backend.list(), backend.desired(model), isWithheld);
    // What could not be removed is left to the next time.
    if (!plan.scripts.some(({ phase }) => phase === 'change')) break;
    if (round === maxRounds)
      throw new Error('somebody else changes the same rules all the time; see portwright doctor');
    // Those who undo each other in step never end: one has to come later.
    await pause(Math.random() * longestPauseMs * round);
    await sync(backend, model, { keepGoing, isWithheld });
  }
  return first;
}
