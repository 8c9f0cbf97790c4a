import type { ProxyModel } from '../model/model.ts';
import { Glance } from '../ruleset/glance.ts';
import type { Script } from '../ruleset/plan.ts';
import { scriptText } from '../ruleset/plan.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import { planCleanup } from './cleanup.ts';
import { lastingLines } from './fingerprint.ts';
import { parseIptables } from './parse.ts';
import { planIptables } from './plan.ts';
import { desiredIptables } from './render.ts';
import type { IptablesOptions } from './render.ts';
import type { IptablesTarget } from './script.ts';

/** The tools of one variant, as this backend uses them. */
export interface IptablesKernel {
  list(family: IptablesTarget['family']): Promise<string>;
  /** The same, unless the glance finds nothing new in it. */
  listNews(family: IptablesTarget['family'], glance: Glance): Promise<string | undefined>;
  load(family: IptablesTarget['family'], script: string): Promise<unknown>;
  /** Whether a kernel without rules takes the script. */
  tryLoad(family: IptablesTarget['family'], script: string): Promise<boolean>;
}

/** iptables mode for one family: the pure stages, and the two effects at their ends. */
export function createIptablesBackend(target: IptablesTarget, options: IptablesOptions, kernel: IptablesKernel) {
  return {
    mode: 'iptables' as const,
    family: target.family,
    desired: (model: ProxyModel) => desiredIptables(model, options),
    parse: parseIptables,
    plan: (live: Ruleset, desired: Ruleset, isWithheld?: (service: ServiceName) => boolean) =>
      planIptables(live, desired, target, isWithheld),
    planCleanup: (live: Ruleset) => planCleanup(live, target),
    list: async () => parseIptables(await kernel.list(target.family)),
    listing: async (known?: string) => {
      const glance = new Glance(known, lastingLines);
      const text = await kernel.listNews(target.family, glance);
      return { fingerprint: glance.fingerprint, ...(text === undefined ? {} : { text }) };
    },
    load: async (script: Script) => {
      await kernel.load(target.family, scriptText(script));
    },
    tryLoad: (script: Script) => kernel.tryLoad(target.family, scriptText(script)),
  };
}
