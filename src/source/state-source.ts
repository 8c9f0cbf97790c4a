import type { ClusterState } from './objects.ts';

/** A slice that changed: since when for the cluster, for the latency of programming it. */
export interface EndpointTrigger {
  /** `namespace/name` of the Service. */
  readonly service: string;
  readonly addressType: string;
  /** RFC 3339, as the slice's controller noted it. Absent: the slice is gone, and times noted before mean nothing. */
  readonly changedAt?: string;
}

/** What happened since the last notice. */
export interface StateChange {
  readonly triggers: readonly EndpointTrigger[];
  /** Services that came, changed or went, as far as the source counts them. */
  readonly services?: number;
  /** EndpointSlices, likewise. */
  readonly slices?: number;
}

/** A cluster, or manifests, that are followed for as long as an agent runs. */
export interface StateSource {
  start(): void;
  stop(): Promise<void>;
  /** Nothing until all is known once; then never nothing again. The same object while nothing changed. */
  snapshot(): ClusterState | undefined;
  /** Called after each batch of changes, the first time when the first snapshot can be taken. Returns how to unsubscribe. */
  onChange(listener: (change: StateChange) => void): () => void;
}
