import type { ProxyModel, ServicePort } from '../model/model.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { ServiceName } from '../ruleset/ruleset.ts';
import { differingMiddle } from '../ruleset/split.ts';

/** When what one sync found new was seen, written and found in the kernel. Shared by all its service ports. */
interface Generation {
  readonly desired: Date;
  applied?: Date;
  verified?: Date;
}

/** The times of one Service: each the latest of its ports, absent when one of them is not there yet. */
export interface Times {
  readonly namespace: string;
  readonly name: string;
  readonly desired: Date;
  readonly applied?: Date;
  readonly verified?: Date;
}

/** Since when each Service of one family is as it is. Costs what changes; a service port that changed is a new object. */
export class ServiceTimes {
  readonly #generations = new WeakMap<ServicePort, Generation>();
  #unapplied: Generation[] = [];
  #unverified: Generation[] = [];
  #ports: readonly ServicePort[] = [];

  /** This is what should be, as of now. */
  desire(model: ProxyModel, desired: Date): void {
    const { after: fresh } = differingMiddle(this.#ports, model.servicePorts);
    this.#ports = model.servicePorts;
    this.#begin(
      fresh.filter((port) => !this.#generations.has(port)),
      { desired },
    );
  }

  /** Everything desired was written, but for Services that are left out. */
  apply(at: Date): void {
    for (const generation of this.#unapplied) generation.applied = at;
    this.#unverified.push(...this.#unapplied);
    this.#unapplied = [];
  }

  /** Everything that was written was found. */
  verify(at: Date): void {
    for (const generation of this.#unverified) generation.verified = at;
    this.#unverified = [];
  }

  /** What was written of these was found changed; it is to be written again. */
  lose(services: readonly ServiceName[]): void {
    const names = new Set(services.map(namespacedName));
    const lost = this.#ports.filter((port) => names.has(namespacedName(port)));
    const byDesired = new Map<Date, ServicePort[]>();
    for (const port of lost) {
      const desired = this.#generations.get(port)?.desired;
      if (desired !== undefined) byDesired.set(desired, [...(byDesired.get(desired) ?? []), port]);
    }
    for (const [desired, ports] of byDesired) this.#begin(ports, { desired });
  }

  /** Every Service, in the order of the model. */
  list(): readonly Times[] {
    const services = new Map<string, Times>();
    for (const port of this.#ports) {
      const generation = this.#generations.get(port);
      if (generation === undefined) continue;
      const { namespace, name } = port;
      const key = namespacedName(port);
      const known = services.get(key);
      services.set(key, { namespace, name, ...(known === undefined ? generation : later(known, generation)) });
    }
    return [...services.values()];
  }

  #begin(ports: readonly ServicePort[], generation: Generation): void {
    if (ports.length === 0) return;
    this.#unapplied.push(generation);
    for (const port of ports) this.#generations.set(port, generation);
  }
}

function later(left: Generation, right: Generation): Generation {
  const applied = latest(left.applied, right.applied);
  const verified = latest(left.verified, right.verified);
  return {
    desired: left.desired > right.desired ? left.desired : right.desired,
    ...(applied !== undefined && { applied }),
    ...(verified !== undefined && { verified }),
  };
}

function latest(left: Date | undefined, right: Date | undefined): Date | undefined {
  return left === undefined || right === undefined ? undefined : left > right ? left : right;
}
