import type { ProxyModel, ServicePort } from '../model/model.ts';
import type { ServiceName } from '../ruleset/ruleset.ts';
import type { Refusal } from './sync.ts';

/** A Service whose rules the kernel refused. */
export interface Quarantined extends Refusal {
  readonly since: Date;
}

interface Entry extends Quarantined {
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

  has({ namespace, name }: ServiceName): boolean {
    return this.#entries.size > 0 && this.#entries.has(`${namespace}/${name}`);
  }

  list(): readonly Quarantined[] {
    return [...this.#entries.values()];
  }

  /** `now` is monotonic, in milliseconds. */
  add(refusals: readonly Refusal[], model: ProxyModel, at: { readonly now: number; readonly date: Date }): void {
    for (const { service, reason } of refusals) {
      const key = `${service.namespace}/${service.name}`;
      const entry = { service, reason, since: at.date, ports: portsOf(service, model), retryAt: at.now + retryMs };
      this.#entries.set(key, entry);
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
