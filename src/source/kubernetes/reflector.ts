import { ApiError, MalformedAnswerError } from './api-error.ts';
import type { Pause } from './attempts.ts';
import { Attempts, leastSpacingMs } from './attempts.ts';
import type { Effects } from './effects.ts';
import { sleep } from './effects.ts';
import { InitialEvents } from './initial-events.ts';
import type { Listing } from './listing.ts';
import { list } from './listing.ts';
import { EmptyWatchError, isBarren, isBrokenStream, recovery, watchEnd } from './recovery.ts';
import type { WatchEnd } from './recovery.ts';
import { Replica } from './replica.ts';
import type { ReplicaHandlers } from './replica.ts';
import type { ApiClient } from './request.ts';
import type { ResourceStatus } from './resource-status.ts';
import type { Resource } from './resource.ts';
import type { Store, StoredObject } from './store.ts';
import { Trouble } from './trouble.ts';
import { refusesWatchList } from './watch-event.ts';
import type { WatchEvent } from './watch-event.ts';
import { followWatch } from './watch-stream.ts';
import type { WatchRequest } from './watch-stream.ts';

/** What a reflector needs besides its resource and store. */
export interface ReflectorOptions extends ReplicaHandlers {
  readonly client: ApiClient;
  /** A watch that is silent for longer is taken for dead. Servers send a bookmark about each minute. */
  readonly silenceMs: number;
  /** A watch was opened in place of one that came to this end. */
  readonly onReconnect: (end: WatchEnd) => void;
}

/** Initial events come without pauses; a server that makes one does not know how to end them. */
const initialSilenceMs = 15_000;
/** How often a missing optional resource is asked for. */
const absentRetryMs = 300_000;

/** Keeps a store equal to a resource of the API server, for ever, whatever the server does. */
export class Reflector<T extends StoredObject> {
  readonly #resource: Resource<T>;
  readonly #store: Store<T>;
  readonly #options: ReflectorOptions;
  readonly #effects: Effects;
  readonly #replica: Replica<T>;
  readonly #attempts: Attempts;
  readonly #trouble: Trouble;
  readonly #stop = new AbortController();
  #done: Promise<void> | undefined;
  /** `pages once`: the last stream broke before all objects had come. `pages`: this server does not stream them. */
  #listsBy: 'stream' | 'pages once' | 'pages' = 'stream';
  #lastEventAt: number | undefined;

  constructor(resource: Resource<T>, store: Store<T>, options: ReflectorOptions, effects: Effects) {
    this.#resource = resource;
    this.#store = store;
    this.#options = options;
    this.#effects = effects;
    this.#replica = new Replica(resource, store, options);
    this.#attempts = new Attempts(effects);
    this.#trouble = new Trouble(resource.name, effects);
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
    const { lastError } = this.#trouble;
    return {
      ...this.#replica.status(),
      ...(this.#lastEventAt === undefined ? {} : { lastEventAt: this.#lastEventAt }),
      ...(lastError === undefined ? {} : { lastError }),
    };
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#attempts.begin();
      await this.#wait(await this.#attempt());
    }
  }

  /** Lists if need be, then watches until the watch ends; gives the pause to make then. */
  async #attempt(): Promise<Pause> {
    try {
      const { version } = this.#replica;
      if (version !== undefined) await this.#resume(version);
      else if (this.#listsBy === 'stream') await this.#watchList();
      else await this.#listAndWatch();
      return this.#attempts.ended();
    } catch (error) {
      return this.#stop.signal.aborted ? { waitMs: 0, untilReachable: false } : this.#failed(error);
    }
  }

  #failed(error: unknown): Pause {
    const plan = recovery(error);
    const end = watchEnd(error);
    const pause = this.#attempts.failed(end, plan);
    if (plan.from === 'relist') this.#replica.forgetVersion();
    const status = error instanceof ApiError ? error.status : undefined;
    /** An optional resource that this server or role does not give us. */
    const isUnavailable = this.#resource.presence === 'optional' && (status === 403 || status === 404);
    // Servers forget old versions in the course of things; one that forgets at once is in trouble.
    if (this.#attempts.failures > 1 || end !== 'expired') {
      const what = isUnavailable
        ? 'the API server does not give this resource, going on without'
        : 'cannot follow the API server, trying again';
      this.#trouble.report(error, what);
    }
    if (isUnavailable && !this.#replica.isSynced) this.#replica.becomeSynced();
    return isUnavailable && status === 404 ? { waitMs: absentRetryMs, untilReachable: false } : pause;
  }

  async #wait({ waitMs, untilReachable }: Pause): Promise<void> {
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
        this.#attempts.reachable();
        end();
      });
    }
    await sleep(clock, waitMs, wake.signal);
    end();
    this.#stop.signal.removeEventListener('abort', end);
    await sleep(clock, this.#attempts.spacingMs(), this.#stop.signal);
  }

  /** One stream that begins with all objects and goes on as a watch. */
  async #watchList(): Promise<void> {
    const { silenceMs } = this.#options;
    const initial = new InitialEvents(this.#resource, this.#store, this.#effects.clock);
    const onEvent = (event: WatchEvent) => {
      if (initial.areComplete) {
        this.#replica.apply(event);
        return;
      }
      const listing = initial.take(event);
      if (listing === undefined) return;
      if (this.#isDoubtful(listing)) throw new DoubtfulListError();
      this.#adopt(listing);
    };
    const query = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' };
    try {
      await this.#follow(query, onEvent, () =>
        initial.areComplete ? silenceMs : Math.min(initialSilenceMs, silenceMs),
      );
      if (!initial.areComplete) {
        throw new MalformedAnswerError(`watch ${this.#resource.path}: it ended before all objects had come`);
      }
    } catch (error) {
      if (error instanceof DoubtfulListError) {
        await this.#confirmAndWatch();
      } else if (!initial.areComplete && refusesWatchList(error)) {
        this.#effects.log.debug(2, 'no streaming lists here, reading pages', { resource: this.#resource.name });
        this.#listsBy = 'pages';
        await this.#listAndWatch();
      } else {
        if (!initial.areComplete && isBrokenStream(error)) this.#listsBy = 'pages once';
        throw error;
      }
    }
  }

  async #listAndWatch(): Promise<void> {
    if (this.#listsBy === 'pages once') this.#listsBy = 'stream';
    const listing = await this.#list();
    if (this.#isDoubtful(listing)) {
      await this.#confirmAndWatch();
    } else {
      this.#adopt(listing);
      await this.#watch(listing.resourceVersion);
    }
  }

  /** Believes a great loss only when a second, consistent list shows it too. */
  async #confirmAndWatch(): Promise<void> {
    await sleep(this.#effects.clock, leastSpacingMs, this.#stop.signal);
    const listing = await this.#list();
    this.#adopt(listing);
    await this.#watch(listing.resourceVersion);
  }

  async #list(): Promise<Listing<T>> {
    return await list(this.#options.client, this.#resource, { store: this.#store, signal: this.#stop.signal });
  }

  #isDoubtful(listing: Listing<T>): boolean {
    if (!this.#replica.isDoubtful(listing)) return false;
    const fields = { resource: this.#resource.name, known: this.#store.size, listed: listing.arrivals.size };
    this.#effects.log.warn('a list lacks most objects that were there before, asking again first', fields);
    return true;
  }

  #adopt(listing: Listing<T>): void {
    this.#heard();
    this.#replica.adopt(listing);
  }

  /** Watches on from the last version seen. */
  async #resume(version: string): Promise<void> {
    try {
      await this.#watch(version);
    } catch (error) {
      // The version may be one that this server cannot go on from, or never reaches, as after a back-up was restored.
      if (this.#attempts.isOpen && this.#replica.version === version && isBarren(error)) this.#replica.forgetVersion();
      throw error;
    }
  }

  async #watch(version: string): Promise<void> {
    const { clock } = this.#effects;
    const startedAt = clock.now();
    const onEvent = (event: WatchEvent) => {
      this.#replica.apply(event);
    };
    await this.#follow({ resourceVersion: version }, onEvent, () => this.#options.silenceMs);
    if (this.#replica.version === version && clock.now() - startedAt < leastSpacingMs) {
      throw new EmptyWatchError(`watch ${this.#resource.path}: the server ended it at once`);
    }
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
        const { isGoodSign, replaced } = this.#attempts.opened();
        if (isGoodSign) this.#heard();
        if (replaced !== undefined) this.#options.onReconnect(replaced);
      },
      onEvent: (event) => {
        this.#heard();
        onEvent(event);
      },
      onPiece: () => {
        this.#replica.progressed();
      },
    };
    await followWatch(this.#options.client, watch, this.#effects);
  }

  /** The server sent something good. */
  #heard(): void {
    this.#lastEventAt = this.#effects.clock.now();
    this.#attempts.heard();
    this.#trouble.end();
  }
}

/** Ends a stream whose objects are doubtful. */
class DoubtfulListError extends Error {}
