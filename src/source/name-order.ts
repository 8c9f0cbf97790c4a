/** What has a name, in a namespace or not. */
export interface Named {
  readonly namespace?: string;
  readonly name: string;
}

/** The order of the objects of a cluster state: by namespace, then name. */
export function byName(left: Named, right: Named): number {
  return byCodeUnits(left.namespace ?? '', right.namespace ?? '') || byCodeUnits(left.name, right.name);
}

/** Where the one of this name stands among those that are sorted by name, or would stand. */
export function placeOf<T>(wanted: Named, sorted: readonly T[], nameOf: (one: T) => Named): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const seen = sorted[middle];
    if (seen !== undefined && byName(nameOf(seen), wanted) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The same on every machine, whatever its language. */
export function byCodeUnits(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
