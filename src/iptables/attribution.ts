import type { ObjectChange } from '../ruleset/diff.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import { isServicePortChain } from './ownership.ts';
import { serviceIndex, serviceOfRule } from './service.ts';

/** An object that differs, and the Service it belongs to as a whole. */
export interface AttributedChange extends ObjectChange {
  readonly service?: ServiceName;
}

/** Says which changed chains are those of one Service; chains that Services share are told apart rule by rule later. */
export function attributed(changes: readonly ObjectChange[], live: Ruleset, desired: Ruleset): AttributedChange[] {
  let index: ((chain: string) => ServiceName | undefined) | undefined;
  return changes.map((change) => {
    const { table, name, lines, service: known } = change.object;
    if (!isServicePortChain(table, name)) return change;
    const named = known ?? lines.map(serviceOfRule).find((service) => service !== undefined);
    // Only rules without comments need a look at the whole ruleset.
    const service = named ?? (index ??= serviceIndex(live, desired))(name);
    return service === undefined ? change : { ...change, service };
  });
}
