import { linesByService } from '../ruleset/by-service.ts';
import type { Change, Plan } from '../ruleset/plan.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import { attributed } from './attribution.ts';
import type { AttributedChange } from './attribution.ts';
import { compareIptables } from './compare.ts';
import { inOneCommit, iptablesScripts } from './script.ts';
import type { IptablesTarget } from './script.ts';
import { serviceOfRule } from './service.ts';

/**
 * What differs, by Service, and the scripts that remove the difference; none when nothing differs. What belongs to
 * a withheld Service stays as it is live: its last good rules, or none.
 */
export function planIptables(
  live: Ruleset,
  desired: Ruleset,
  target: IptablesTarget,
  isWithheld: (service: ServiceName) => boolean = () => false,
): Plan {
  const comparison = compareIptables(live, desired);
  const objects = attributed(comparison.changes, live, desired).flatMap((change) =>
    withoutWithheld(change, isWithheld),
  );
  const scripts = iptablesScripts(objects, { live, desired }, target);
  const single = inOneCommit(scripts);
  return {
    changes: objects.flatMap(changesOf),
    ...(single === undefined ? { scripts } : { scripts: [single], apart: scripts }),
    after: comparison.after(objects),
  };
}

function withoutWithheld(change: AttributedChange, isWithheld: (service: ServiceName) => boolean): AttributedChange[] {
  if (change.service !== undefined) return isWithheld(change.service) ? [] : [change];
  if (change.object.isOrdered || change.object.kind === 'hooks') return [change];
  const isOther = (line: string) => {
    const service = serviceOfRule(line);
    return service === undefined || !isWithheld(service);
  };
  const removed = change.removed.filter(isOther);
  const added = change.added.filter(isOther);
  if (removed.length === change.removed.length && added.length === change.added.length) return [change];
  if (removed.length + added.length === 0 && change.kind === 'change') return [];
  return [{ ...change, removed, added, object: { ...change.object, lines: change.object.lines.filter(isOther) } }];
}

/** One change for a chain of one Service; for a chain that Services share, one for each Service concerned. */
function changesOf(change: AttributedChange): Change[] {
  const object = `${change.object.table} ${change.object.name}`;
  const { kind, removed, added, service } = change;
  if (service !== undefined || change.object.isOrdered || change.object.kind === 'hooks') {
    return [{ object, kind, before: removed, after: added, ...(service === undefined ? {} : { service }) }];
  }
  const groups = linesByService(change, serviceOfRule);
  // A new dispatch chain without a rule yet is a change too.
  if (groups.length === 0) return [{ object, kind, before: [], after: [] }];
  return groups.map(({ service: owner, removed: before, added: after }) => ({
    object,
    kind,
    ...(owner === undefined ? {} : { service: owner }),
    before,
    after,
  }));
}
