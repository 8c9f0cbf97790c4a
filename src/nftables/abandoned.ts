import type { AttributedChange } from './attribution.ts';
import { isRedefined } from './compare.ts';
import { protocolOfMap } from './names.ts';
import { frontendOf } from './service.ts';
import { elementKeyAlone } from './spelling.ts';

/** Changes of which `later` must not be made before `now` is. */
export interface Separated {
  readonly now: readonly AttributedChange[];
  readonly later: readonly AttributedChange[];
}

/**
 * Separates the removal of elements that a frontend needs no more because it is served another way from now on: with
 * session affinity, by another policy. A packet that was sent towards them a moment ago would find them gone and be
 * lost, so they go later than what led to them. What a frontend loses with its last endpoint is not among them, nor
 * one slot of several: a class has an answer for the packet that finds its slot gone.
 */
export function separateAbandoned(changes: readonly AttributedChange[]): Separated {
  const turned = new Set(changes.filter(({ object }) => firstSteps.has(object.name)).flatMap(replacedFrontends));
  if (turned.size === 0) return { now: changes, later: [] };
  const later: AttributedChange[] = [];
  const now = changes.map((change) => {
    if (change.kind !== 'change' || !isSecondStep(change) || isRedefined(change)) return change;
    const lost = new Set(lostFrontends(change).filter((frontend) => turned.has(frontend)));
    if (lost.size === 0) return change;
    const isAbandoned = (line: string) => lost.has(frontendOf(change.object, line));
    const part = (keep: (line: string) => boolean) =>
      change.groups.map((group) => ({ ...group, removed: group.removed.filter(keep) }));
    later.push({ ...change, groups: part(isAbandoned).map((group) => ({ ...group, added: [] })) });
    return { ...change, groups: part((line) => !isAbandoned(line)) };
  });
  return { now, later };
}

const firstSteps: ReadonlySet<string> = new Set(['service-ips', 'service-nodeports']);
const classSteps: ReadonlySet<string> = new Set([
  'cluster-class',
  'cluster-class-nodeports',
  'local-class',
  'local-class-nodeports',
]);

function isSecondStep({ object: { name } }: AttributedChange): boolean {
  return classSteps.has(name) || protocolOfMap(name) !== undefined;
}

/** Frontends that stay, and lead elsewhere. */
function replacedFrontends(change: AttributedChange): readonly string[] {
  const removed = frontends(change, 'removed');
  if (removed.length === 0) return [];
  const added = new Set(frontends(change, 'added'));
  return removed.filter((frontend) => added.has(frontend));
}

/** Frontends of which the map holds nothing any more: no class, or not even the first slot. */
function lostFrontends(change: AttributedChange): readonly string[] {
  const added = new Set(frontends(change, 'added'));
  return frontends(change, 'removed').filter((frontend) => !added.has(frontend));
}

/** In a map of endpoints only those of the first slots. */
function frontends({ object, groups }: AttributedChange, side: 'removed' | 'added'): readonly string[] {
  const hasSlots = protocolOfMap(object.name) !== undefined;
  const lines = groups.flatMap((group) => group[side]);
  return lines
    .filter((line) => !hasSlots || elementKeyAlone(object.name, line).endsWith(' . 0'))
    .map((line) => frontendOf(object, line));
}
