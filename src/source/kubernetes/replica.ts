import type { Listing } from './listing.ts';
import type { ResourceStatus } from './resource-status.ts';
import type { Resource } from './resource.ts';
import type { Store, StoredObject } from './store.ts';
import type { WatchEvent } from './watch-event.ts';

/** Whom a replica tells what it takes in. */
export interface ReplicaHandlers {
  /** After a batch of changes, and after the first complete list. */
  readonly onProgress: () => void;
  /** So many objects came by list or event, also those that changed nothing. */
  readonly onReceived: (count: number) => void;
}

/** More than this many objects, and more than half of all, do not vanish without a second look. */
const doubtfulLoss = 10;

/** A store, and which version of the resource it is equal to. */
export class Replica<T extends StoredObject> {
  readonly #resource: Resource<T>;
  readonly #store: Store<T>;
  readonly #handlers: ReplicaHandlers;
  #version: string | undefined;
  #isSynced = false;
  #lists = 0;
  #events = 0;

  constructor(resource: Resource<T>, store: Store<T>, handlers: ReplicaHandlers) {
    this.#resource = resource;
    this.#store = store;
    this.#handlers = handlers;
  }

  /** Where to watch from; absent: everything must be listed. */
  get version(): string | undefined {
    return this.#version;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  status(): Pick<ResourceStatus, 'isSynced' | 'version' | 'lists' | 'events' | 'objects'> {
    return {
      isSynced: this.#isSynced,
      ...(this.#version === undefined ? {} : { version: this.#version }),
      lists: this.#lists,
      events: this.#events,
      objects: this.#store.size,
    };
  }

  /** A list that lacks most of what is known is more likely wrong than right. */
  isDoubtful({ arrivals }: Listing<T>): boolean {
    const missing = this.#store.countMissing(arrivals);
    return missing > doubtfulLoss && missing * 2 > this.#store.size;
  }

  /** Becomes equal to a complete list. */
  adopt({ arrivals, resourceVersion }: Listing<T>): void {
    this.#store.replace(arrivals);
    this.#version = resourceVersion;
    this.#lists += 1;
    this.#received(arrivals.size);
    this.becomeSynced();
  }

  /** Takes in one event of a watch; `progressed` tells of it. */
  apply(event: WatchEvent): void {
    if (event.type === 'unknown') return;
    if (event.type !== 'BOOKMARK') {
      this.#received(1);
      const arrival = this.#resource.read(event.raw);
      if (arrival !== undefined) {
        if (event.type === 'DELETED') this.#store.remove(arrival.object);
        else this.#store.put(arrival);
      }
    }
    this.#version = event.resourceVersion;
  }

  /** A batch of events was taken in. */
  progressed(): void {
    if (this.#isSynced) this.#handlers.onProgress();
  }

  /** What is known counts as complete from now on. */
  becomeSynced(): void {
    this.#isSynced = true;
    this.#handlers.onProgress();
  }

  /** What is known stays, but must be compared with a list. */
  forgetVersion(): void {
    this.#version = undefined;
  }

  #received(count: number): void {
    this.#events += count;
    this.#handlers.onReceived(count);
  }
}
