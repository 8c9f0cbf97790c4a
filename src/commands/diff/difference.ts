import type { IPFamily } from '../../source/objects.ts';
import type { ProxyModel } from '../../model/model.ts';
import type { Change, Plan } from '../../ruleset/plan.ts';
import { namespacedName } from '../../ruleset/ruleset.ts';
import type { Warning } from '../../source/warning.ts';

/** What differs in one family, by Service: the JSON of `diff` and `apply`, and what their text is made of. */
export interface FamilyDifference {
  readonly family: IPFamily;
  readonly services: readonly ServiceDifference[];
  /** Changes of objects that Services share. */
  readonly shared: readonly SharedChange[];
  /** Objects of the other mode or variant that are still there. */
  readonly leftovers: readonly string[];
  /** What kept this family from being read or written; what is known of it may be nothing. */
  readonly error?: string;
}

/** A change that stands under the Service it is for, or among those that no single Service is behind. */
export type SharedChange = Omit<Change, 'service'>;

/** What differs for one Service. */
export interface ServiceDifference {
  readonly namespace: string;
  readonly name: string;
  /** `name:port/PROTOCOL`, without the name when the port has none. Empty when the Service is gone. */
  readonly ports: readonly string[];
  readonly changes: readonly SharedChange[];
}

/** What differs in all families: the JSON of `diff`. */
export interface Difference {
  readonly differs: boolean;
  readonly families: readonly FamilyDifference[];
  readonly warnings: readonly Warning[];
}

/** The changes of a plan by Service and object, sorted. */
export function familyDifference(model: ProxyModel, plan: Plan, leftovers: readonly string[]): FamilyDifference {
  const services = new Map<string, { namespace: string; name: string; changes: SharedChange[] }>();
  const shared: SharedChange[] = [];
  for (const { service, ...change } of plan.changes) {
    if (service === undefined) {
      shared.push(change);
      continue;
    }
    const key = namespacedName(service);
    const entry = services.get(key) ?? { ...service, changes: [] };
    services.set(key, entry);
    entry.changes.push(change);
  }
  const ports = portsByService(model);
  return {
    family: model.family,
    services: [...services.keys()].toSorted().flatMap((key) => {
      const entry = services.get(key);
      if (entry === undefined) return [];
      const { namespace, name, changes } = entry;
      return [{ namespace, name, ports: ports.get(key) ?? [], changes: changes.toSorted(byObject) }];
    }),
    shared: shared.toSorted(byObject),
    leftovers: leftovers.toSorted(),
  };
}

/** Of a family that was not looked at. */
export const noPlan: Plan = { changes: [], scripts: [], after: { parts: [] } };

/** The families together. */
export function difference(families: readonly FamilyDifference[], warnings: readonly Warning[]): Difference {
  return { differs: families.some(({ services, shared }) => services.length + shared.length > 0), families, warnings };
}

function portsByService(model: ProxyModel): ReadonlyMap<string, readonly string[]> {
  const ports = new Map<string, string[]>();
  for (const servicePort of model.servicePorts) {
    const { portName, port, protocol } = servicePort;
    const key = namespacedName(servicePort);
    const list = ports.get(key) ?? [];
    ports.set(key, list);
    list.push(`${portName === '' ? '' : `${portName}:`}${port}/${protocol}`);
  }
  return ports;
}

function byObject(left: SharedChange, right: SharedChange): number {
  return left.object < right.object ? -1 : left.object > right.object ? 1 : 0;
}
