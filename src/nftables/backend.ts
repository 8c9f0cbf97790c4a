import type { ProxyModel } from '../model/model.ts';
import { scriptText } from '../ruleset/plan.ts';
import { Glance } from '../ruleset/glance.ts';
import type { Script } from '../ruleset/plan.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import type { IPFamily } from '../source/objects.ts';
import { parseNftables } from './parse.ts';
import { planCleanup, planNftables } from './plan.ts';
import { desiredNftables } from './render.ts';

/** nft, as this backend uses it. */
export interface NftablesKernel {
  /** Our table as listed; empty when there is none. */
  list(family: IPFamily): Promise<string>;
  /** The same, unless the glance finds nothing new in it. */
  listNews(family: IPFamily, glance: Glance): Promise<string | undefined>;
  load(script: string): Promise<unknown>;
  /** Whether a kernel without rules takes the script. */
  tryLoad(script: string): Promise<boolean>;
}

/** nftables mode for one family: the pure stages, and the two effects at their ends. */
export function createNftablesBackend(family: IPFamily, kernel: NftablesKernel) {
  return {
    mode: 'nftables' as const,
    family,
    desired: (model: ProxyModel) => desiredNftables(model),
    parse: parseNftables,
    plan: (live: Ruleset, desired: Ruleset, isWithheld?: (service: ServiceName) => boolean) =>
      planNftables(live, desired, family, isWithheld),
    planCleanup: (live: Ruleset) => planCleanup(live, family),
    list: async () => parseNftables(await kernel.list(family)),
    listing: async (known?: string) => {
      const glance = new Glance(known, (lines) => lines);
      const text = await kernel.listNews(family, glance);
      return { fingerprint: glance.fingerprint, ...(text === undefined ? {} : { text }) };
    },
    load: async (script: Script) => {
      await kernel.load(scriptText(script));
    },
    tryLoad: (script: Script) => kernel.tryLoad(scriptText(script)),
  };
}
