import type { ProxyModel } from '../../model/model.ts';
import type { CommandEffects } from '../command.ts';
import type { Input } from '../input/input.ts';
import { hasFamily, warning, withKernel } from '../live/input.ts';
import type { LiveInput } from '../live/input.ts';
import { backendFor } from '../live/kernel.ts';
import type { Kernel } from '../live/kernel.ts';
import { findLeftovers } from '../live/leftovers.ts';
import { familyDifference, noPlan } from './difference.ts';
import type { FamilyDifference } from './difference.ts';

/** What differs in this host's kernel, for each family. One that cannot be read says why, and the other is read. */
export async function liveDifference(
  kernel: Kernel,
  input: Input,
  effects: CommandEffects,
): Promise<readonly FamilyDifference[]> {
  const live = await withKernel(kernel, input);
  const families: FamilyDifference[] = [];
  for (const model of input.models) {
    try {
      families.push(await liveFamily(model, live, effects));
    } catch (error) {
      families.push({ ...familyDifference(model, noPlan, []), error: (error as Error).message });
    }
  }
  return families;
}

async function liveFamily(model: ProxyModel, live: LiveInput, effects: CommandEffects): Promise<FamilyDifference> {
  if (!(await hasFamily(model, live, effects))) return familyDifference(model, noPlan, []);
  const { kernel, variant } = live;
  const { mode, nfacct: counters } = live.config;
  const { family } = model;
  const { backend } = backendFor(kernel, mode, { family, variant, counters });
  const plan = backend.plan(await backend.list(), backend.desired(model));
  const leftovers = await findLeftovers(kernel, mode, { family, variant }, warning(effects));
  return familyDifference(
    model,
    plan,
    leftovers.flatMap(({ objects }) => objects),
  );
}
