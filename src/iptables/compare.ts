import { applied } from '../ruleset/applied.ts';
import { diff, differing } from '../ruleset/diff.ts';
import type { ObjectChange } from '../ruleset/diff.ts';
import { objectId, objectsOf } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetObject } from '../ruleset/ruleset.ts';
import { isServicePortChain, kubeletSharedChain } from './ownership.ts';

/** What differs and is worth a write, and the live ruleset after it was written. */
export interface Comparison {
  readonly changes: readonly ObjectChange[];
  readonly after: (changes: readonly ObjectChange[]) => Ruleset;
}

/**
 * What differs between two rulesets and is worth a write. Whether packets are counted is not, and neither are the
 * comments that kube-proxy leaves out of rules per endpoint above 1000 endpoints.
 */
export function compareIptables(live: Ruleset, desired: Ruleset): Comparison {
  const found = differing(live, desired);
  const settled = {
    live: withoutSettledCounters(found.live, desired),
    desired: withoutSettledCounters(found.desired, live),
    common: found.common,
  };
  return {
    changes: diff(settled, iptablesLineKey).filter((change) => !isSharedRemoval(change)),
    after: (changes) => applied(desired, found, changes, iptablesLineKey),
  };
}

const nodePorts = objectId('nat', 'chain', 'KUBE-NODEPORTS');
const counterMatch = / -m nfacct --nfacct-name +\S+/;
const comment = / -m comment --comment (?:"[^"]*"|\S+)/;

function iptablesLineKey(object: RulesetObject, line: string): string {
  const counted = line.includes(' -m nfacct ') ? line.replace(counterMatch, '') : line;
  return isServicePortChain(object.table, object.name) ? counted.replace(comment, '') : counted;
}

/**
 * A counting rule for a node port on localhost does what the rule after it does. It counts as a rule of its own
 * only when that rule is on its way in or out, so that it never outlives the chain that it jumps to.
 */
function withoutSettledCounters(objects: ReadonlyMap<string, RulesetObject>, other: Ruleset): typeof objects {
  const chain = objects.get(nodePorts);
  if (chain === undefined || !chain.lines.some(isCounting)) return objects;
  const served = new Set(objectsOf(other).get(nodePorts)?.lines);
  const lines = chain.lines.filter((line) => !isCounting(line) || served.has(line) || !served.has(plainTwin(line)));
  return new Map(objects).set(nodePorts, { ...chain, lines });
}

function isCounting(line: string): boolean {
  return line.includes(' -m nfacct ');
}

function plainTwin(line: string): string {
  return line.replace(counterMatch, '').replace(' -d 127.0.0.0/8', '');
}

// The kubelet may want the guard of localhost even when we do not.
function isSharedRemoval(change: ObjectChange): boolean {
  return change.kind === 'delete' && change.object.kind === 'hooks' && change.object.name === kubeletSharedChain;
}
