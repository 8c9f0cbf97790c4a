import type { Change, Plan } from '../ruleset/plan.ts';
import type { Ruleset, RulesetPart, ServiceName } from '../ruleset/ruleset.ts';
import type { IPFamily } from '../source/objects.ts';
import { attributed } from './attribution.ts';
import type { AttributedChange } from './attribution.ts';
import { compareNftables, isRedefined } from './compare.ts';
import { tableOf } from './names.ts';
import { nftablesScripts } from './script.ts';
import { serviceOfLine } from './service.ts';
import { withLiveSlots } from './slots.ts';
import { withoutWithheld } from './withheld.ts';

/**
 * What differs in the table of a family, by Service, and the scripts that remove the difference; none when nothing
 * differs. What belongs to a withheld Service stays as it is live: its last good rules, or none.
 */
export function planNftables(
  live: Ruleset,
  desired: Ruleset,
  family: IPFamily,
  isWithheld?: (service: ServiceName) => boolean,
): Plan {
  const table = tableOf(family);
  const allowed = isWithheld === undefined ? desired : withoutWithheld(live, desired, isWithheld);
  const { wanted, split } = withLiveSlots(live, allowed);
  const ownerOf = serviceOfLine(split);
  const changes = compareNftables(live, split, table).map((change) => attributed(change, ownerOf));
  return {
    changes: changes.flatMap(changesOf),
    scripts: nftablesScripts(changes, { live, desired: wanted, table }),
    after: withForeign(wanted, split.live, table),
  };
}

/** The plan that removes the table, whether we or kube-proxy made it. */
export function planCleanup(live: Ruleset, family: IPFamily): Plan {
  return planNftables(live, { parts: [] }, family);
}

function changesOf(change: AttributedChange): Change[] {
  const { kind, object, groups } = change;
  const name = object.kind === 'table' ? object.table : `${object.table} ${object.name}`;
  const shown = kind === 'change' && isRedefined(change);
  const [before, after] = shown ? [change.live?.definition ?? [], object.definition] : [[], []];
  return groups.map(({ service, removed, added }) => ({
    object: name,
    kind,
    before: [...before, ...removed],
    after: [...after, ...added],
    ...(service === undefined ? {} : { service }),
  }));
}

/** The wanted ruleset, with what a listing holds besides our table: nothing that a plan touches. */
function withForeign(wanted: Ruleset, live: readonly RulesetPart[], table: string): Ruleset {
  const foreign = live.flatMap((part) => part.filter((object) => object.table !== table));
  return foreign.length === 0 ? wanted : { parts: [...wanted.parts, foreign] };
}
