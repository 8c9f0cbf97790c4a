import type { Plan } from '../ruleset/plan.ts';
import { objectsOf } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetObject } from '../ruleset/ruleset.ts';
import { kubeletSharedChain } from './ownership.ts';
import { planIptables } from './plan.ts';
import type { IptablesTarget } from './script.ts';

/** Chains that kube-proxy keeps empty to notice that somebody flushed the rules. They go with everything else. */
const canaryChain = 'KUBE-PROXY-CANARY';

/**
 * The plan that removes all that is ours or kube-proxy's. What the kubelet shares stays: KUBE-FIREWALL, the guard
 * of localhost in it, and the jumps to it.
 */
export function planCleanup(live: Ruleset, target: IptablesTarget): Plan {
  const objects = [...objectsOf(live).values()];
  const withCanaries = objects.map((object) =>
    object.name === canaryChain && object.kind === 'chain' ? { ...object, isOwned: true } : object,
  );
  const kept = objects.filter((object) => object.kind === 'hooks').flatMap(keptHooks);
  const { apart, ...plan } = planIptables({ parts: [withCanaries] }, { parts: [kept] }, target);
  // Rules that other programs left behind are common here.
  return apart === undefined ? plan : { ...plan, scripts: apart };
}

function keptHooks(hooks: RulesetObject): RulesetObject[] {
  if (hooks.name === kubeletSharedChain) return [hooks];
  const lines = hooks.lines.filter((line) => line.endsWith(`-j ${kubeletSharedChain}`));
  return lines.length === 0 ? [] : [{ ...hooks, lines }];
}
