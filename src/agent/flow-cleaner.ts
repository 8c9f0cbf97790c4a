import type { Conntrack, UdpFlow } from '../kernel/conntrack.ts';
import type { ProxyModel } from '../model/model.ts';
import type { IPFamily } from '../source/objects.ts';
import { Runner } from './runner.ts';
import type { Clock } from './runner.ts';
import { canMakeFlowsStale, staleFlows } from './stale-flows.ts';
import type { StaleFlow } from './stale-flows.ts';

export interface FlowCleanerOptions {
  readonly family: IPFamily;
  readonly conntrack: Conntrack;
  readonly clock: Clock;
  readonly hostAddresses: () => readonly string[];
  readonly onCleaned: (removed: readonly StaleFlow[], tookMs: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Time for clients to move on, and for the kernel to breathe, between two looks at all flows. */
const minIntervalMs = 1_000;
/** What fails for so long, such as a tool that is not installed, is told seldom. A change is looked at in any case. */
const retryIntervalMs = 600_000;

/**
 * Removes the UDP flows of one family that the connection table would send to the wrong place, beside the syncs: what
 * is stale follows from the models, so a look that failed is made up for by the next.
 */
export class FlowCleaner {
  readonly #options: FlowCleanerOptions;
  readonly #runner: Runner;
  /** What is in the kernel. */
  #desired: ProxyModel | undefined;
  /** What flows were last cleaned for. */
  #cleaned: ProxyModel | undefined;

  constructor(options: FlowCleanerOptions) {
    this.#options = options;
    const { clock, onError } = options;
    this.#runner = new Runner({
      minIntervalMs,
      retryIntervalMs,
      maxIntervalMs: Infinity,
      clock,
      run: () => this.#clean(),
      onError,
    });
  }

  /** The rules of this model are in the kernel. */
  written(model: ProxyModel): void {
    const isNeeded = canMakeFlowsStale(this.#cleaned, model);
    this.#desired = model;
    if (isNeeded) this.#runner.request();
    else this.#cleaned = model;
  }

  stop(): Promise<void> {
    return this.#runner.stop();
  }

  async #clean(): Promise<'done'> {
    const { family, conntrack, clock, onCleaned } = this.#options;
    const desired = this.#desired;
    if (desired === undefined) return 'done';
    const startedAt = clock.now();
    const stale = this.#staleAmong(desired, await conntrack.listUdp(family));
    if (stale.length > 0) await conntrack.delete(stale.map(({ flow }) => flow));
    this.#cleaned = desired;
    onCleaned(stale, clock.now() - startedAt);
    return 'done';
  }

  #staleAmong(desired: ProxyModel, flows: readonly UdpFlow[]): readonly StaleFlow[] {
    const hostAddresses = this.#options.hostAddresses();
    const previous = this.#cleaned;
    return staleFlows({ desired, ...(previous === undefined ? {} : { previous }), hostAddresses, flows });
  }
}
