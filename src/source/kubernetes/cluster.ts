import type { ClusterState, EndpointSlice } from '../objects.ts';
import type { EndpointTrigger, StateChange, StateSource } from '../state-source.ts';
import type { Effects } from './effects.ts';
import type { WatchEnd } from './recovery.ts';
import type { ResourceStatus } from './resource-status.ts';
import { Reflector } from './reflector.ts';
import type { ApiClient } from './request.ts';
import type { Resource } from './resource.ts';
import { endpointSlices, nodeNamed, serviceCIDRs, services } from './resource.ts';
import { serviceOf, Snapshots } from './snapshot.ts';
import type { StoreChange, StoredObject } from './store.ts';
import { Store } from './store.ts';

/** Which cluster to follow, and how. */
export interface ClusterSourceOptions {
  readonly client: ApiClient;
  /** The Node to follow; without one the state has no node. */
  readonly nodeName?: string;
  /** How long a watch may be silent (default 90 s; servers send a bookmark about each minute). */
  readonly silenceMs?: number;
  /** A watch of a resource was opened in place of one that came to this end. */
  readonly onReconnect?: (resource: string, end: WatchEnd) => void;
  /** So many objects of a resource came by list or event, also those that changed nothing. */
  readonly onReceived?: (resource: string, count: number) => void;
}

/** The state of a cluster as its API server tells it: nothing until every first list is complete, then for ever. */
export interface ClusterSource extends StateSource {
  /** By resource: `services`, `endpointslices`, `nodes`, `servicecidrs`. */
  status(): ReadonlyMap<string, ResourceStatus>;
}

const usualSilenceMs = 90_000;

/** Follows the Services, EndpointSlices, ServiceCIDRs and the own Node of a cluster. */
export function createClusterSource(options: ClusterSourceOptions, effects: Effects): ClusterSource {
  return new Cluster(options, effects);
}

interface Follower {
  start(): void;
  stop(): Promise<void>;
  status(): ResourceStatus;
}

class Cluster implements ClusterSource {
  readonly #options: ClusterSourceOptions;
  readonly #effects: Effects;
  readonly #followers = new Map<string, Follower>();
  readonly #listeners = new Set<(change: StateChange) => void>();
  readonly #snapshots = new Snapshots();
  #triggers: EndpointTrigger[] = [];
  #changedServices = 0;
  #changedSlices = 0;
  #hasChanged = true;
  #isSynced = false;

  constructor(options: ClusterSourceOptions, effects: Effects) {
    this.#options = options;
    this.#effects = effects;
    this.#follow(services, (change) => {
      this.#snapshots.changeService(change);
      this.#changedServices += 1;
    });
    this.#follow(endpointSlices, (change) => {
      this.#snapshots.changeSlice(change);
      // Before the first snapshot there is nobody to be late for.
      if (this.#isSynced) this.#triggers.push(...triggersOf(change));
      this.#changedSlices += 1;
    });
    this.#follow(serviceCIDRs, (change) => {
      this.#snapshots.changeServiceCIDR(change);
    });
    if (options.nodeName === undefined) return;
    this.#follow(nodeNamed(options.nodeName), (change) => {
      this.#snapshots.changeNode(change);
    });
  }

  start(): void {
    for (const follower of this.#followers.values()) follower.start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#followers.values()].map((follower) => follower.stop()));
  }

  snapshot(): ClusterState | undefined {
    return this.#isSynced ? this.#snapshots.take() : undefined;
  }

  onChange(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  status(): ReadonlyMap<string, ResourceStatus> {
    return new Map([...this.#followers].map(([name, follower]) => [name, follower.status()]));
  }

  #follow<T extends StoredObject>(resource: Resource<T>, onChange: (change: StoreChange<T>) => void): void {
    const store = new Store<T>((change) => {
      this.#hasChanged = true;
      onChange(change);
    });
    const { client, silenceMs = usualSilenceMs } = this.#options;
    const onProgress = () => {
      this.#notify();
    };
    const onReconnect = (end: WatchEnd) => {
      this.#options.onReconnect?.(resource.name, end);
    };
    const onReceived = (count: number) => {
      this.#options.onReceived?.(resource.name, count);
    };
    const options = { client, silenceMs, onProgress, onReconnect, onReceived };
    const reflector = new Reflector(resource, store, options, this.#effects);
    this.#followers.set(resource.name, reflector);
  }

  #notify(): void {
    this.#isSynced ||= [...this.#followers.values()].every((follower) => follower.status().isSynced);
    if (!this.#isSynced || !this.#hasChanged) return;
    const change = { triggers: this.#triggers, services: this.#changedServices, slices: this.#changedSlices };
    this.#triggers = [];
    this.#changedServices = 0;
    this.#changedSlices = 0;
    this.#hasChanged = false;
    for (const listener of this.#listeners) listener(change);
  }
}

function triggersOf({ before, after, triggerTime }: StoreChange<EndpointSlice>): readonly EndpointTrigger[] {
  const triggers: EndpointTrigger[] = [];
  const oldService = before === undefined ? undefined : serviceOf(before);
  const newService = after === undefined ? undefined : serviceOf(after);
  if (before !== undefined && oldService !== undefined && oldService !== newService) {
    triggers.push({ service: oldService, addressType: before.addressType });
  }
  if (after !== undefined && newService !== undefined && triggerTime !== undefined) {
    triggers.push({ service: newService, addressType: after.addressType, changedAt: triggerTime });
  }
  return triggers;
}
