import { hostname } from 'node:os';
import { Health } from '../../agent/health.ts';
import type { Config } from '../../config/config.ts';
import { nodeName } from '../../config/node.ts';
import type { Variant } from '../../kernel/iptables-tools.ts';
import type { Logger } from '../../log.ts';
import type { IPFamily } from '../../source/objects.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { iptablesVariant, openKernel } from '../live/kernel.ts';
import type { Kernel } from '../live/kernel.ts';
import { usableFamilies } from './host.ts';

/** Everything a run is made of, before it starts. */
export interface Setting {
  readonly options: CommandOptions;
  readonly effects: CommandEffects;
  readonly config: Config;
  readonly logger: Logger;
  readonly kernel: Kernel;
  readonly variant: Variant;
  readonly families: readonly IPFamily[];
  readonly nodeName: string;
  readonly health: Health;
}

/** Looks at this host. Throws TroubleError where it cannot have the rules that are configured. */
export async function settingOf(given: Pick<Setting, 'options' | 'effects' | 'config' | 'logger'>): Promise<Setting> {
  const { effects, config, logger } = given;
  const kernel = await openKernel(effects.env);
  const variant = await iptablesVariant(kernel, config);
  const families = await usableFamilies(config, kernel, variant, logger);
  const health = new Health({
    timeoutMs: 2 * config.syncPeriodMs,
    now: () => performance.now(),
    date: () => new Date(),
  });
  return { ...given, kernel, variant, families, nodeName: nodeName(config, [], hostname()), health };
}
