import type { ObjectChange } from '../ruleset/diff.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { ServiceName } from '../ruleset/ruleset.ts';
import { serviceOfObject } from './service.ts';
import type { ServiceOfLine } from './service.ts';

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

/** Says for which Service each line of a change comes or goes. */
export function attributed(change: ObjectChange, ownerOf: ServiceOfLine): AttributedChange {
  return { ...change, groups: groupsOf(change, ownerOf) };
}

function groupsOf(change: ObjectChange, ownerOf: ServiceOfLine): readonly LineGroup[] {
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
