import { linesByService } from '../ruleset/by-service.ts';
import type { LineGroup } from '../ruleset/by-service.ts';
import type { ObjectChange } from '../ruleset/diff.ts';
import { serviceOfObject } from './service.ts';
import type { ServiceOfLine } from './service.ts';

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
  return linesByService(change, (line) => ownerOf(object, line));
}
