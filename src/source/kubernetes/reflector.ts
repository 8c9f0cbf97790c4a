import { ApiError, MalformedAnswerError, printable } from './api-error.ts';
import type { Effects } from './effects.ts';
import { sleep } from './effects.ts';
import type { Listing } from './listing.ts';
import { keepKnown, list } from './listing.ts';
import { backOffMs, EmptyWatchError, isBarren, isBrokenStream, recovery, watchEnd } from './recovery.ts';
import type { WatchEnd } from './recovery.ts';
import type { ApiClient } from './request.ts';
import type { ResourceStatus } from './resource-status.ts';
import type { Resource } from './resource.ts';
import type { Arrival, Store, StoredObject } from './store.ts';
import { objectKey } from './store.ts';
import { refusesWatchList } from './watch-event.ts';
import type { WatchEvent } from './watch-event.ts';
import { followWatch } from './watch-stream.ts';
import type { WatchRequest } from './watch-stream.ts';

/** What a reflector needs besides its resource and store. */
export interface ReflectorOptions {
  readonly client: ApiClient;
  /** A watch that is silent for longer is taken for dead. Servers send a bookmark about each minute. */
  readonly silenceMs: number;
  /** After a batch of changes, and after the first complete list. */
  readonly onProgress: () => void;
  /** A watch was opened in place of one that came to this end. */
  readonly onReconnect: (end: WatchEnd) => void;
  /** So many objects came by list or event, also those that changed nothing. */
  readonly onReceived: (count: number) => void;
}

/** No two requests of one reflector begin closer together than this, whatever goes wrong. */
const leastSpacingMs = 1000;
/** A stream that worked for so long was healthy: what ends it is the first failure. */
const healthyMs = 10_000;
/** Initial events come without pauses; a server that makes one does not know how to end them. */
const initialSilenceMs = 15_000;
/** By then all have come, also over a slow line, unless the server does not say so and goes on with what happens. */
const longestInitialMs = 60_000;
/** How often a missing optional resource is asked for. */
const absentRetryMs = 300_000;
/** So many different errors of one time of trouble are worth a line. */
const mostTold = 10;
/** More than this many objects, and more than half of all, do not vanish without a second look. */
const doubtfulLoss = 10;

/** Keeps a store equal to a resource of the API server, for ever, whatever the server does. */
export class Reflector<T extends StoredObject> {
  readonly #resource: Resource<T>;
  readonly #store: Store<T>;
  readonly #options: ReflectorOptions;
  readonly #effects: Effects;
  readonly #stop = new AbortController();
  #done: Promise<void> | undefined;

  /** Where to watch from; absent: everything must be listed. */
  #version: string | undefined;
  #isSynced = false;
  #hasWatchList = true;
  /** The last stream of initial events did not come to its end: pages are tried next. */
  #hadBrokenInitialStream = false;
  #failures = 0;
  #attemptAt = 0;
  #healthySince: number | undefined;
  /** The present attempt got as far as a stream, and the one before. */
  #isOpen = false;
  #wasOpen = false;
  /** How the last watch that was opened ended. */
  #lastEnd: WatchEnd | undefined;
  #failingSince: number | undefined;
  #lastEventAt: number | undefined;
  #lastError: string | undefined;
  /** What was said since it fails. */
  readonly #told = new Set<string>();
  #lists = 0;
  #events = 0;

  constructor(resource: Resource<T>, store: Store<T>, options: ReflectorOptions, effects: Effects) {
    this.#resource = resource;
    this.#store = store;
    this.#options = options;
    this.#effects = effects;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  /** Ends every request and wait; resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  status(): ResourceStatus {
    return {
      isSynced: this.#isSynced,
      ...(this.#version === undefined ? {} : { version: this.#version }),
      ...(this.#lastEventAt === undefined ? {} : { lastEventAt: this.#lastEventAt }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      lists: this.#lists,
      events: this.#events,
      objects: this.#store.size,
    };
  }

  async #run(): Promise<void> {
    while (!this.#isStopped()) {
      this.#attemptAt = this.#effects.clock.now();
      this.#healthySince = undefined;
      this.#wasOpen = this.#isOpen;
      this.#isOpen = false;
      let waitMs: number;
      let untilReachable = false;
      try {
        await this.#attempt();
        this.#noteEnd('timeout');
        waitMs = this.#afterGoodEnd();
      } catch (error) {
        if (this.#isStopped()) return;
        this.#noteEnd(watchEnd(error));
        ({ waitMs, untilReachable } = this.#afterFailure(error));
      }
      await this.#wait(waitMs, untilReachable);
    }
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Lists if need be, then watches until the server ends the watch. */
  async #attempt(): Promise<void> {
    if (this.#version !== undefined) {
      await this.#resume(this.#version);
    } else if (this.#hasWatchList && !this.#hadBrokenInitialStream) {
      await this.#watchList();
    } else {
      this.#hadBrokenInitialStream = false;
      await this.#listAndWatch();
    }
  }

  /** One stream that begins with all objects and goes on as a watch. */
  async #watchList(): Promise<void> {
    /** What has come; nothing when all has, since a watch may last for hours. */
    const initial: { arrivals: Map<string, Arrival<T>> | undefined } = { arrivals: new Map() };
    const onEvent = (event: WatchEvent) => {
      const { arrivals } = initial;
      if (arrivals === undefined) {
        this.#apply(event);
      } else if (event.type === 'BOOKMARK' && event.endsInitialEvents) {
        initial.arrivals = undefined;
        this.#adoptUnlessDoubtful({ arrivals, resourceVersion: event.resourceVersion });
      } else if (clock.now() > endsAt) {
        throw new MalformedAnswerError(`watch ${this.#resource.path}: it does not say when all objects have come`);
      } else {
        this.#collect(arrivals, event);
      }
    };
    const { silenceMs } = this.#options;
    const { clock } = this.#effects;
    const endsAt = clock.now() + longestInitialMs;
    const query = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' };
    try {
      await this.#follow(query, onEvent, () =>
        initial.arrivals === undefined ? silenceMs : Math.min(initialSilenceMs, silenceMs),
      );
      if (initial.arrivals !== undefined) {
        throw new MalformedAnswerError(`watch ${this.#resource.path}: it ended before all objects had come`);
      }
    } catch (error) {
      if (error instanceof DoubtfulListError) {
        await this.#confirmAndWatch();
      } else if (refusesWatchList(error) && initial.arrivals !== undefined) {
        this.#hasWatchList = false;
        this.#effects.log.debug(2, 'no streaming lists here, reading pages', { resource: this.#resource.name });
        await this.#listAndWatch();
      } else {
        this.#hadBrokenInitialStream = initial.arrivals !== undefined && isBrokenStream(error);
        throw error;
      }
    }
  }

  #collect(arrivals: Map<string, Arrival<T>>, event: WatchEvent): void {
    if (event.type === 'BOOKMARK' || event.type === 'unknown') return;
    const arrival = this.#resource.read(event.raw);
    if (arrival === undefined) return;
    const key = objectKey(arrival.object);
    if (event.type === 'DELETED') arrivals.delete(key);
    else arrivals.set(key, keepKnown(this.#store, arrival));
  }

  async #listAndWatch(): Promise<void> {
    try {
      this.#adoptUnlessDoubtful(await this.#list());
    } catch (error) {
      if (!(error instanceof DoubtfulListError)) throw error;
      await this.#confirmAndWatch();
      return;
    }
    await this.#watch();
  }

  /** Believes a great loss only when a second, consistent list shows it too. */
  async #confirmAndWatch(): Promise<void> {
    await sleep(this.#effects.clock, leastSpacingMs, this.#stop.signal);
    this.#adopt(await this.#list());
    await this.#watch();
  }

  async #list(): Promise<Listing<T>> {
    return await list(this.#options.client, this.#resource, { store: this.#store, signal: this.#stop.signal });
  }

  #adoptUnlessDoubtful(listing: Listing<T>): void {
    const missing = this.#store.countMissing(listing.arrivals);
    if (missing > doubtfulLoss && missing * 2 > this.#store.size) {
      const fields = { resource: this.#resource.name, known: this.#store.size, listed: listing.arrivals.size };
      this.#effects.log.warn('a list lacks most objects that were there before, asking again first', fields);
      throw new DoubtfulListError();
    }
    this.#adopt(listing);
  }

  #adopt(listing: Listing<T>): void {
    this.#store.replace(listing.arrivals);
    this.#version = listing.resourceVersion;
    this.#lists += 1;
    this.#received(listing.arrivals.size);
    this.#hadBrokenInitialStream = false;
    this.#noteHealth();
    this.#becomeSynced();
  }

  #received(count: number): void {
    this.#events += count;
    this.#options.onReceived(count);
  }

  #becomeSynced(): void {
    this.#isSynced = true;
    this.#options.onProgress();
  }

  /** Watches on from the last version seen. */
  async #resume(version: string): Promise<void> {
    try {
      await this.#watch();
    } catch (error) {
      // The version may be one that this server cannot go on from, or never reaches, as after a back-up was restored.
      if (this.#isOpen && this.#version === version && isBarren(error)) this.#version = undefined;
      throw error;
    }
  }

  async #watch(): Promise<void> {
    const from = this.#version;
    const startedAt = this.#effects.clock.now();
    await this.#follow(
      { resourceVersion: from ?? '' },
      (event) => {
        this.#apply(event);
      },
      () => this.#options.silenceMs,
    );
    if (this.#version === from && this.#effects.clock.now() - startedAt < leastSpacingMs) {
      throw new EmptyWatchError(`watch ${this.#resource.path}: the server ended it at once`);
    }
  }

  /** Applies one event of a watch. */
  #apply(event: WatchEvent): void {
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

  async #follow(
    query: Readonly<Record<string, string>>,
    onEvent: (event: WatchEvent) => void,
    silenceMs: () => number,
  ): Promise<void> {
    const { path, selectors } = this.#resource;
    const watch: WatchRequest = {
      path,
      query: { ...query, ...selectors },
      signal: this.#stop.signal,
      silenceMs,
      onOpen: () => {
        // After a stream that failed, only a good event shows that the next is better.
        if (!this.#wasOpen) this.#noteHealth();
        this.#isOpen = true;
        if (this.#lastEnd !== undefined) this.#options.onReconnect(this.#lastEnd);
        this.#lastEnd = undefined;
      },
      onEvent: (event) => {
        this.#noteHealth();
        onEvent(event);
      },
      onPiece: () => {
        if (this.#isSynced) this.#options.onProgress();
      },
    };
    await followWatch(this.#options.client, watch, this.#effects);
  }

  #noteHealth(): void {
    const now = this.#effects.clock.now();
    this.#healthySince ??= now;
    this.#lastEventAt = now;
    if (this.#failingSince === undefined) return;
    this.#effects.log.info('the API server answers again', {
      resource: this.#resource.name,
      afterSeconds: Math.round((now - this.#failingSince) / 1000),
    });
    this.#failingSince = undefined;
    this.#lastError = undefined;
    this.#told.clear();
  }

  #noteEnd(end: WatchEnd): void {
    if (this.#isOpen) this.#lastEnd = end;
  }

  #afterGoodEnd(): number {
    this.#forgive();
    return this.#spacingMs();
  }

  #forgive(): void {
    const { clock } = this.#effects;
    if (this.#healthySince !== undefined && clock.now() - this.#healthySince >= healthyMs) this.#failures = 0;
  }

  #afterFailure(error: unknown): { readonly waitMs: number; readonly untilReachable: boolean } {
    const { random } = this.#effects;
    this.#forgive();
    this.#failures += 1;
    const plan = recovery(error);
    if (plan.from === 'relist') this.#version = undefined;
    // Servers forget old versions in the course of things; one that forgets at once is in trouble.
    if (this.#failures > 1 || watchEnd(error) !== 'expired') this.#report(error);
    if (this.#isUnavailable(error) && !this.#isSynced) this.#becomeSynced();
    if (this.#isUnavailable(error, 404)) return { waitMs: absentRetryMs, untilReachable: false };
    const growing = plan.wait === 'soon' && this.#failures === 1 ? 0 : backOffMs(this.#failures, plan.capMs, random);
    return { waitMs: Math.max(growing, plan.leastMs, this.#spacingMs()), untilReachable: plan.untilReachable };
  }

  /** An optional resource that this server or role does not give us. */
  #isUnavailable(error: unknown, ...statuses: readonly number[]): boolean {
    const meant = statuses.length === 0 ? [403, 404] : statuses;
    return this.#resource.presence === 'optional' && error instanceof ApiError && meant.includes(error.status);
  }

  #spacingMs(): number {
    return Math.max(0, this.#attemptAt + leastSpacingMs - this.#effects.clock.now());
  }

  /** One line when trouble begins or becomes another trouble, not one for each try. */
  #report(error: unknown): void {
    const message = printable(error instanceof Error ? error.message : String(error));
    const isNews = !this.#told.has(message) && this.#told.size < mostTold;
    if (isNews) this.#told.add(message);
    this.#failingSince ??= this.#effects.clock.now();
    this.#lastError = message;
    const fields = { resource: this.#resource.name, error: message };
    const what = this.#isUnavailable(error)
      ? 'the API server does not give this resource, going on without'
      : 'cannot follow the API server, trying again';
    if (isNews) this.#effects.log.warn(what, fields);
    else this.#effects.log.debug(4, 'still cannot follow the API server', fields);
  }

  async #wait(waitMs: number, untilReachable: boolean): Promise<void> {
    const { clock } = this.#effects;
    const wake = new AbortController();
    const end = () => {
      wake.abort();
    };
    this.#stop.signal.addEventListener('abort', end);
    if (this.#stop.signal.aborted) end();
    if (untilReachable) {
      void this.#options.client.untilReachable(wake.signal).then(() => {
        if (wake.signal.aborted) return;
        // It is back: whatever it says while it starts up is the first failure of a new time.
        this.#failures = 0;
        end();
      });
    }
    await sleep(clock, waitMs, wake.signal);
    end();
    this.#stop.signal.removeEventListener('abort', end);
    await sleep(clock, this.#spacingMs(), this.#stop.signal);
  }
}

/** Most known objects are not in a list. */
class DoubtfulListError extends Error {}
