import type { Logger } from '../log.ts';
import type { Sysctl } from '../kernel/sysctl.ts';
import { isNeeded } from './tuning.ts';
import type { Tuning } from './tuning.ts';

/**
 * Makes kernel settings what they should be. None of them is needed to program rules, so one that cannot be set is
 * said with what goes on without it.
 */
export async function applyTuning(tunings: readonly Tuning[], sysctl: Sysctl, logger: Logger): Promise<void> {
  for (const tuning of tunings) {
    const { setting, value, reason, otherwise } = tuning;
    try {
      const current = await sysctl.read(setting);
      if (current !== undefined && !isNeeded(tuning, current)) continue;
      await sysctl.ensure(setting, value);
      logger.info('kernel setting changed', { setting, from: current, to: value, reason });
    } catch (error) {
      logger.warn('a kernel setting stays as it is', { setting, wanted: value, reason, otherwise, error });
    }
  }
}
