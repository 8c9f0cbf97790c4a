import { isEqualJson } from './kubernetes/equal.ts';
import type { ClusterState, EndpointSlice, ObjectMeta } from './objects.ts';

/**
 * The next state, with the objects of the previous one in it wherever nothing in them changed, and the previous state
 * itself when nothing changed at all: what is remembered by identity stays remembered.
 */
export function keepIdentity(previous: ClusterState | undefined, next: ClusterState): ClusterState {
  if (previous === undefined) return next;
  const services = keepList(previous.services, next.services);
  const slices = keepSlices(previous.slices, next.slices);
  const serviceCIDRs = keepList(previous.serviceCIDRs, next.serviceCIDRs);
  const node = isEqualJson(previous.node, next.node) ? previous.node : next.node;
  const isSame =
    services === previous.services &&
    slices === previous.slices &&
    serviceCIDRs === previous.serviceCIDRs &&
    node === previous.node;
  return isSame ? previous : { services, slices, serviceCIDRs, ...(node === undefined ? {} : { node }) };
}

function keepList<T extends { readonly metadata: ObjectMeta }>(
  previous: readonly T[],
  next: readonly T[],
): readonly T[] {
  const known = new Map(previous.map((object) => [keyOf(object), object]));
  const kept = next.map((object) => {
    const before = known.get(keyOf(object));
    return before !== undefined && isEqualJson(before, object) ? before : object;
  });
  const isSame = kept.length === previous.length && kept.every((object, index) => object === previous[index]);
  return isSame ? previous : kept;
}

function keepSlices(previous: ClusterState['slices'], next: ClusterState['slices']): ClusterState['slices'] {
  const kept = new Map<string, readonly EndpointSlice[]>();
  let isSame = previous.size === next.size;
  for (const [service, slices] of next) {
    const list = keepList(previous.get(service) ?? [], slices);
    isSame &&= list === previous.get(service);
    kept.set(service, list);
  }
  return isSame ? previous : kept;
}

function keyOf({ metadata }: { readonly metadata: ObjectMeta }): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
