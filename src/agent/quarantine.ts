import type { ProxyModel, ServicePort } from '../model/model.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { ServiceName } from '../ruleset/ruleset.ts';
import type { Refusal } from './sync.ts';

interface Entry extends Refusal {
  readonly ports: readonly ServicePort[];
  readonly retryAt: number;
}

/** What was refused for a reason that went away, such as a module that was not loaded, heals without a change. */
const retryMs = 600_000;

/** The Services of one family that are left as they are in the kernel, until their objects change. */
export class Quarantine {
  readonly #entries = new Map<string, Entry>();

  /** When the first of them is tried again without a change; Infinity when there is none. */
  get retryAt(): number {
    return Math.min(Infinity, ...[...this.#entries.values()].map(({ retryAt }) => retryAt));
  }

  has(service: ServiceName): boolean {
    return this.#entries.size > 0 && this.#entries.has(namespacedName(service));
  }

  list(): readonly Refusal[] {
    return [...this.#entries.values()];
  }

  /** `now` is monotonic, in milliseconds. */
  add(refusals: readonly Refusal[], model: ProxyModel, now: number): void {
    for (const { service, reason } of refusals) {
      const key = namespacedName(service);
      this.#entries.set(key, { service, reason, ports: portsOf(service, model), retryAt: now + retryMs });
    }
  }

  /** Lets go of those whose service ports are others now, or whose time has come. Says whether there were any. */
  release(model: ProxyModel, now: number): boolean {
    const { size } = this.#entries;
    for (const [key, { service, ports, retryAt }] of this.#entries) {
      if (now >= retryAt || !isSame(ports, portsOf(service, model))) this.#entries.delete(key);
    }
    return this.#entries.size < size;
  }
}

function portsOf({ namespace, name }: ServiceName, { servicePorts }: ProxyModel): readonly ServicePort[] {
  return servicePorts.filter((port) => port.name === name && port.namespace === namespace);
}

function isSame(left: readonly ServicePort[], right: readonly ServicePort[]): boolean {
  return left.length === right.length && left.every((port, index) => port === right[index]);
}
