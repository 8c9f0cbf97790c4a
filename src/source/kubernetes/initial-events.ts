import { MalformedAnswerError } from './api-error.ts';
import type { Effects } from './effects.ts';
import type { Listing } from './listing.ts';
import { keepKnown } from './listing.ts';
import type { Resource } from './resource.ts';
import type { Arrival, Store, StoredObject } from './store.ts';
import { objectKey } from './store.ts';
import type { WatchEvent } from './watch-event.ts';

/** By then all have come, also over a slow line, unless the server does not say so and goes on with what happens. */
const longestMs = 60_000;

/** The objects that a watch begins with, until the server says that all have come. */
export class InitialEvents<T extends StoredObject> {
  readonly #resource: Resource<T>;
  readonly #store: Store<T>;
  readonly #clock: Effects['clock'];
  readonly #mustEndAt: number;
  #arrivals = new Map<string, Arrival<T>>();
  #areComplete = false;

  constructor(resource: Resource<T>, store: Store<T>, clock: Effects['clock']) {
    this.#resource = resource;
    this.#store = store;
    this.#clock = clock;
    this.#mustEndAt = clock.now() + longestMs;
  }

  get areComplete(): boolean {
    return this.#areComplete;
  }

  /** Gives them all with the event that ends them; throws when it does not come. */
  take(event: WatchEvent): Listing<T> | undefined {
    if (event.type === 'BOOKMARK' && event.endsInitialEvents) {
      const listing = { arrivals: this.#arrivals, resourceVersion: event.resourceVersion };
      this.#areComplete = true;
      // The watch that follows may last for hours.
      this.#arrivals = new Map();
      return listing;
    }
    if (this.#clock.now() > this.#mustEndAt) {
      throw new MalformedAnswerError(`watch ${this.#resource.path}: it does not say when all objects have come`);
    }
    if (event.type !== 'BOOKMARK' && event.type !== 'unknown') this.#collect(event.type, event.raw);
    return undefined;
  }

  #collect(type: 'ADDED' | 'MODIFIED' | 'DELETED', raw: unknown): void {
    const arrival = this.#resource.read(raw);
    if (arrival === undefined) return;
    const key = objectKey(arrival.object);
    if (type === 'DELETED') this.#arrivals.delete(key);
    else this.#arrivals.set(key, keepKnown(this.#store, arrival));
  }
}
