import type { ObjectMeta } from '../objects.ts';
import { isEqualJson } from './equal.ts';

/** Anything a store can hold. */
export interface StoredObject {
  readonly metadata: ObjectMeta;
}

/** An object that came, changed or went. */
export interface StoreChange<T> {
  readonly before?: T;
  readonly after?: T;
  /** When the change began in the cluster, as its controller noted it (RFC 3339). */
  readonly triggerTime?: string | undefined;
}

/** An object read from a list or event, and what is known beside it. */
export interface Arrival<T> {
  readonly object: T;
  readonly triggerTime?: string | undefined;
}

/**
 * The objects of one resource by namespace and name. An object that arrives equal to the known one *is* the known
 * one: no change is reported and its identity stays.
 */
export class Store<T extends StoredObject> {
  readonly #objects = new Map<string, T>();
  readonly #onChange: (change: StoreChange<T>) => void;

  constructor(onChange: (change: StoreChange<T>) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#objects.size;
  }

  values(): Iterable<T> {
    return this.#objects.values();
  }

  /** The known object when it equals this one, else this one: so that a relist holds nothing twice. */
  known(object: T): T {
    const known = this.#objects.get(objectKey(object));
    return known !== undefined && isEqualJson(known, object) ? known : object;
  }

  put({ object, triggerTime }: Arrival<T>): void {
    const key = objectKey(object);
    const before = this.#objects.get(key);
    const after = before !== undefined && isEqualJson(before, object) ? before : object;
    if (after === before) return;
    this.#objects.set(key, after);
    this.#onChange(before === undefined ? { after, triggerTime } : { before, after, triggerTime });
  }

  /** Removes the object of this name, unless another one with another uid took its place meanwhile. */
  remove(object: T): void {
    const key = objectKey(object);
    const before = this.#objects.get(key);
    if (before === undefined || isOther(before, object)) return;
    this.#objects.delete(key);
    this.#onChange({ before });
  }

  /** How many known objects are not among these. */
  countMissing(arrivals: ReadonlyMap<string, unknown>): number {
    let missing = 0;
    for (const key of this.#objects.keys()) if (!arrivals.has(key)) missing += 1;
    return missing;
  }

  /** Makes the content equal to a complete list. */
  replace(arrivals: ReadonlyMap<string, Arrival<T>>): void {
    for (const [key, before] of [...this.#objects]) {
      if (arrivals.has(key)) continue;
      this.#objects.delete(key);
      this.#onChange({ before });
    }
    for (const arrival of arrivals.values()) this.put(arrival);
  }
}

/** `namespace/name`, or `/name` for cluster-scoped objects. */
export function objectKey({ metadata }: StoredObject): string {
  // Of a key made with a template V8 keeps the pieces beside the whole.
  return [metadata.namespace, metadata.name].join('/');
}

function isOther(known: StoredObject, object: StoredObject): boolean {
  const knownUid = known.metadata.uid;
  const uid = object.metadata.uid;
  return knownUid !== undefined && uid !== undefined && knownUid !== uid;
}
