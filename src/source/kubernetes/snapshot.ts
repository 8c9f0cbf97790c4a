import type { ClusterState, EndpointSlice, Node, Service, ServiceCIDR } from '../objects.ts';
import { serviceNameLabel } from '../objects.ts';
import { byName, placeOf } from '../name-order.ts';
import type { Named } from '../name-order.ts';
import { SliceIndex } from './slice-index.ts';
import type { StoreChange, StoredObject } from './store.ts';
import { objectKey } from './store.ts';

/**
 * The cluster state as immutable snapshots. Taking one after a change costs a copy of references; what did not
 * change keeps its identity, and without a change the snapshot is the same object.
 */
export class Snapshots {
  readonly #services = new SortedObjects<Service>();
  readonly #serviceCIDRs = new SortedObjects<ServiceCIDR>();
  readonly #slices = new IndexedSlices();
  #node: Node | undefined;
  #state: ClusterState | undefined;

  changeService(change: StoreChange<Service>): void {
    this.#state = undefined;
    this.#services.change(change);
  }

  changeSlice(change: StoreChange<EndpointSlice>): void {
    this.#state = undefined;
    this.#slices.change(change);
  }

  /** A Node that was deleted stays as it was last seen: its zone and addresses are still where this proxy runs. */
  changeNode({ after }: StoreChange<Node>): void {
    if (after === undefined) return;
    this.#state = undefined;
    this.#node = after;
  }

  changeServiceCIDR(change: StoreChange<ServiceCIDR>): void {
    this.#state = undefined;
    this.#serviceCIDRs.change(change);
  }

  take(): ClusterState {
    this.#state ??= {
      services: this.#services.take(),
      slices: this.#slices.take(),
      ...(this.#node === undefined ? {} : { node: this.#node }),
      serviceCIDRs: this.#serviceCIDRs.take(),
    };
    return this.#state;
  }
}

/** From how many changes on sorting everything is cheaper than finding each place. */
const fewChanges = 100;

/** Objects sorted by namespace and name; a new array only after a change. */
class SortedObjects<T extends StoredObject> {
  #sorted: readonly T[] = [];
  /** What the object of a name became since the array was made; nothing: it went. */
  readonly #changed = new Map<string, StoreChange<T>>();

  change(change: StoreChange<T>): void {
    const object = change.after ?? change.before;
    if (object !== undefined) this.#changed.set(objectKey(object), change);
  }

  take(): readonly T[] {
    if (this.#changed.size === 0) return this.#sorted;
    this.#sorted = this.#changed.size <= fewChanges ? this.#withEach() : this.#withAll();
    this.#changed.clear();
    return this.#sorted;
  }

  #withEach(): readonly T[] {
    const sorted = [...this.#sorted];
    for (const { before, after } of this.#changed.values()) {
      const object = after ?? before;
      if (object === undefined) continue;
      const place = placeOf(nameOf(object), sorted, nameOf);
      const found = sorted[place];
      const isThere = found !== undefined && byName(nameOf(found), nameOf(object)) === 0;
      sorted.splice(place, isThere ? 1 : 0, ...(after === undefined ? [] : [after]));
    }
    return sorted;
  }

  #withAll(): readonly T[] {
    const kept = this.#sorted.filter((object) => !this.#changed.has(objectKey(object)));
    const added = [...this.#changed.values()].flatMap(({ after }) => (after === undefined ? [] : [after]));
    return [...kept, ...added].sort(byMetadata);
  }
}

/** Slices by the Service their label names; a slice whose label changes leaves the old Service. */
class IndexedSlices {
  #index = new SliceIndex();
  readonly #changed = new Map<string, Map<string, EndpointSlice | undefined>>();

  change({ before, after }: StoreChange<EndpointSlice>): void {
    if (before !== undefined) this.#note(before, undefined);
    if (after !== undefined) this.#note(after, after);
  }

  take(): SliceIndex {
    if (this.#changed.size === 0) return this.#index;
    this.#index = this.#index.with(
      [...this.#changed].map(([service, changes]) => [service, withChanges(this.#index.get(service) ?? [], changes)]),
    );
    this.#changed.clear();
    return this.#index;
  }

  #note(slice: EndpointSlice, after: EndpointSlice | undefined): void {
    const service = serviceOf(slice);
    if (service === undefined) return;
    let changes = this.#changed.get(service);
    if (changes === undefined) {
      changes = new Map<string, EndpointSlice | undefined>();
      this.#changed.set(service, changes);
    }
    changes.set(slice.metadata.name, after);
  }
}

/** `namespace/name` of the Service that a slice belongs to, if it says so. */
export function serviceOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[serviceNameLabel];
  if (name === undefined || name === '') return undefined;
  return `${metadata.namespace ?? ''}/${name}`;
}

function withChanges(
  slices: readonly EndpointSlice[],
  changes: ReadonlyMap<string, EndpointSlice | undefined>,
): readonly EndpointSlice[] {
  const kept = slices.filter((slice) => !changes.has(slice.metadata.name));
  const added = [...changes.values()].filter((slice) => slice !== undefined);
  return [...kept, ...added].toSorted(byMetadata);
}

function byMetadata(left: StoredObject, right: StoredObject): number {
  return byName(left.metadata, right.metadata);
}

function nameOf({ metadata }: StoredObject): Named {
  return metadata;
}
