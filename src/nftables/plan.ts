import type { ObjectChange } from '../ruleset/diff.ts';
import type { Change, Plan } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetPart, ServiceName } from '../ruleset/ruleset.ts';
import type { IPFamily } from '../source/objects.ts';
import { compareNftables, isRedefined } from './compare.ts';
import { tableOf } from './names.ts';
import { nftablesScripts } from './script.ts';
import { serviceOfLine, serviceOfObject } from './service.ts';
import type { ServiceOfLine } from './service.ts';
import { withLiveSlots } from './slots.ts';
import { withoutWithheld } from './withheld.ts';

export interface NftablesPlan extends Plan {
  /** The live ruleset once the scripts have run. */
  readonly after: Ruleset;
}

/** Lines of an object that come and go for the same Service. */
export interface LineGroup {
  readonly service?: ServiceName;
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

/** An object that differs, with its lines by Service. */
export interface AttributedChange extends ObjectChange {
  readonly groups: readonly LineGroup[];
}

/**
 * What differs in the table of a family, by Service, and the scripts that remove the difference; none when nothing
 * differs. What belongs to a withheld Service stays as it is live: its last good rules, or none.
 */
export function planNftables(
  live: Ruleset,
  desired: Ruleset,
  family: IPFamily,
  isWithheld?: (service: ServiceName) => boolean,
): NftablesPlan {
  const table = tableOf(family);
  const allowed = isWithheld === undefined ? desired : withoutWithheld(live, desired, isWithheld);
  const { wanted, split } = withLiveSlots(live, allowed);
  const ownerOf = serviceOfLine(split);
  const changes = compareNftables(live, split, table).map((change) => ({
    ...change,
    groups: groupsOf(change, ownerOf),
  }));
  return {
    changes: changes.flatMap(changesOf),
    scripts: nftablesScripts(changes, { live, desired: wanted, table }),
    after: withForeign(wanted, split.live, table),
  };
}

/** The plan that removes the table, whether we or kube-proxy made it. */
export function planCleanup(live: Ruleset, family: IPFamily): NftablesPlan {
  return planNftables(live, { parts: [] }, family);
}

function groupsOf(change: ObjectChange, ownerOf: ServiceOfLine): LineGroup[] {
  const { object, removed, added } = change;
  const service = serviceOfObject(object);
  if (service !== undefined) return [{ service, removed, added }];
  if (object.kind === 'chain' || removed.length + added.length === 0) return [{ removed, added }];
  const groups = new Map<string, { service?: ServiceName; removed: string[]; added: string[] }>();
  const put = (line: string, side: 'removed' | 'added') => {
    const owner = ownerOf(object, line);
    const key = owner === undefined ? '' : namespacedName(owner);
    const group = groups.get(key) ?? { ...(owner === undefined ? {} : { service: owner }), removed: [], added: [] };
    groups.set(key, group);
    group[side].push(line);
  };
  for (const line of removed) put(line, 'removed');
  for (const line of added) put(line, 'added');
  return [...groups.values()];
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
