import { namespacedName } from './ruleset.ts';
import type { ServiceName } from './ruleset.ts';

/** Lines that come and go for the same Service; without one: for what Services share. */
export interface LineGroup {
  readonly service?: ServiceName;
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

/** The lines of a change by the Service that each is for, in the order in which Services come up. */
export function linesByService(
  { removed, added }: Pick<LineGroup, 'removed' | 'added'>,
  ownerOf: (line: string) => ServiceName | undefined,
): LineGroup[] {
  const groups = new Map<string, { service?: ServiceName; removed: string[]; added: string[] }>();
  const groupOf = (line: string) => {
    const owner = ownerOf(line);
    const key = owner === undefined ? '' : namespacedName(owner);
    const group = groups.get(key) ?? { ...(owner === undefined ? {} : { service: owner }), removed: [], added: [] };
    groups.set(key, group);
    return group;
  };
  for (const line of removed) groupOf(line).removed.push(line);
  for (const line of added) groupOf(line).added.push(line);
  return [...groups.values()];
}
