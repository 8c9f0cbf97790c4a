import type { IPFamily, Node } from '../source/objects.ts';

/** The taint by which the cluster autoscaler announces that a node goes away. */
const toBeDeletedTaint = 'ToBeDeletedByClusterAutoscaler';

export interface HealthOptions {
  /** How long a requested sync may stay undone before its family is unhealthy: twice the sync period. */
  readonly timeoutMs: number;
  /** Monotonic milliseconds, for ages. */
  readonly now: () => number;
  /** The time of day, for what is shown. */
  readonly date: () => Date;
}

/** What one IP family's health is. */
export interface FamilyHealth {
  readonly lastUpdated: Date;
  readonly isHealthy: boolean;
  /** When the desired rules were last found in the kernel, unless something is known to differ since. */
  readonly verified?: Date;
  /** Why the desired rules are not known to be in the kernel. Absent when they are. */
  readonly notReady?: string;
}

/** The state of the whole agent at one time. */
export interface HealthReport {
  readonly at: Date;
  readonly isHealthy: boolean;
  readonly isNodeEligible: boolean;
  /** Sorted by family; empty before the first sync loop has started. */
  readonly families: ReadonlyMap<IPFamily, FamilyHealth>;
}

interface FamilyState {
  lastUpdated: Date;
  /** The oldest request that no sync has taken up. */
  queuedAt?: number;
  /** The oldest request that a sync has taken up and none has finished. */
  underWaySince?: number;
  verified?: Date;
  notReady?: string;
}

/**
 * What the agent knows about its own health. Healthy means that requested syncs get done; ready means more: the
 * desired rules were seen in the kernel.
 */
export class Health {
  readonly #options: HealthOptions;
  readonly #families = new Map<IPFamily, FamilyState>();
  #isNodeEligible = false;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** The sync loop of a family begins. */
  started(family: IPFamily): void {
    this.#families.set(family, { lastUpdated: this.#options.date(), notReady: 'no sync was completed yet' });
  }

  /** A sync was requested. Only the oldest request that is not done counts. */
  queued(family: IPFamily): void {
    this.#state(family).queuedAt ??= this.#options.now();
  }

  /** A sync takes up what was requested. */
  begun(family: IPFamily): void {
    const state = this.#state(family);
    if (state.queuedAt === undefined) return;
    state.underWaySince ??= state.queuedAt;
    delete state.queuedAt;
  }

  /** A sync was completed. What was requested since it began is still to be done. */
  updated(family: IPFamily): void {
    const state = this.#state(family);
    delete state.underWaySince;
    state.lastUpdated = this.#options.date();
  }

  /** The desired rules were found in the kernel. */
  verified(family: IPFamily): void {
    const state = this.#state(family);
    delete state.notReady;
    state.verified = this.#options.date();
  }

  /** The kernel is known, or must be feared, to hold something else than the desired rules. */
  unverified(family: IPFamily, why: string): void {
    const state = this.#state(family);
    delete state.verified;
    state.notReady = why;
  }

  /** The Node as last seen; undefined when it is gone or was not seen yet. */
  setNode(node: Node | undefined): void {
    const taints = node?.spec?.taints ?? [];
    this.#isNodeEligible =
      node !== undefined &&
      node.metadata.deletionTimestamp === undefined &&
      !taints.some((taint) => taint.key === toBeDeletedTaint);
  }

  /** Without a cluster there is no Node that could say otherwise. */
  setStandalone(): void {
    this.#isNodeEligible = true;
  }

  report(): HealthReport {
    const now = this.#options.now();
    const families = new Map<IPFamily, FamilyHealth>();
    for (const family of ['IPv4', 'IPv6'] as const) {
      const state = this.#families.get(family);
      if (state !== undefined) families.set(family, familyHealth(state, now, this.#options.timeoutMs));
    }
    return {
      at: this.#options.date(),
      isHealthy: [...families.values()].every((family) => family.isHealthy),
      isNodeEligible: this.#isNodeEligible,
      families,
    };
  }

  #state(family: IPFamily): FamilyState {
    const state = this.#families.get(family);
    if (state === undefined) throw new Error(`health: the sync loop of ${family} was not started`);
    return state;
  }
}

function familyHealth(state: FamilyState, now: number, timeoutMs: number): FamilyHealth {
  const { queuedAt, underWaySince = queuedAt, lastUpdated, verified } = state;
  const isHealthy = underWaySince === undefined || now - underWaySince < timeoutMs;
  const notReady = state.notReady ?? (isHealthy ? undefined : 'a requested sync is overdue');
  return {
    lastUpdated,
    isHealthy,
    ...(verified !== undefined && { verified }),
    ...(notReady !== undefined && { notReady }),
  };
}

/** Every family that takes part has its desired rules in the kernel. */
export function isReady(report: HealthReport): boolean {
  return report.families.size > 0 && [...report.families.values()].every((family) => family.notReady === undefined);
}
