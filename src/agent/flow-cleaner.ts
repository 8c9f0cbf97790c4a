import type { Conntrack, UdpFlow } from '../kernel/conntrack.ts';
import type { ProxyModel, ServicePort } from '../model/model.ts';
import type { IPFamily } from '../source/objects.ts';
import { Runner } from './runner.ts';
import type { Clock } from './runner.ts';
import { canMakeFlowsStale, formerPorts, staleFlows } from './stale-flows.ts';
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
/** More are forgotten, the oldest first: where flows cannot be read for days, Services come and go meanwhile. */
const maxFormer = 10_000;

/**
 * Removes the UDP flows of one family that the connection table would send to the wrong place, beside the syncs: what
 * is stale follows from the models, so a look that failed is made up for by the next.
 */
export class FlowCleaner {
  readonly #options: FlowCleanerOptions;
  readonly #runner: Runner;
  /** What is in the kernel. */
  #desired: ProxyModel | undefined;
  /** What was in the kernel since flows were last cleaned and is not there now, the oldest first. */
  readonly #former = new Map<string, ServicePort>();

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
    const before = this.#desired;
    this.#desired = model;
    if (before !== undefined) this.#remember(formerPorts(before, model));
    if (canMakeFlowsStale(before, model)) this.#runner.request();
  }

  stop(): Promise<void> {
    return this.#runner.stop();
  }

  async #clean(): Promise<'done'> {
    const { family, conntrack, clock, onCleaned } = this.#options;
    const desired = this.#desired;
    if (desired === undefined) return 'done';
    const startedAt = clock.now();
    const former = new Map(this.#former);
    const stale = this.#staleAmong(desired, [...former.values()], await conntrack.listUdp(family));
    if (stale.length > 0) await conntrack.delete(stale.map(({ flow }) => flow));
    for (const [destinations, port] of former) {
      if (this.#former.get(destinations) === port) this.#former.delete(destinations);
    }
    onCleaned(stale, clock.now() - startedAt);
    return 'done';
  }

  #remember(former: ReadonlyMap<string, ServicePort>): void {
    for (const [destinations, port] of former) this.#former.set(destinations, port);
    for (const oldest of this.#former.keys()) {
      if (this.#former.size <= maxFormer) break;
      this.#former.delete(oldest);
    }
  }

  #staleAmong(desired: ProxyModel, former: readonly ServicePort[], flows: readonly UdpFlow[]): readonly StaleFlow[] {
    return staleFlows({ desired, former, hostAddresses: this.#options.hostAddresses(), flows });
  }
}
