import type { Server } from 'node:http';
import type { ProxyModel } from '../model/model.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import { createHttpServer } from './http-server.ts';
import type { Answer } from './http-server.ts';
import { closeServer, listen } from './listener.ts';
import type { Clock } from './runner.ts';

/** What the health check node port of one Service tells load balancers. */
export interface ServiceHealthCheck {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** Distinct addresses of ready endpoints on this node, over all ports of the Service. */
  readonly localEndpoints: number;
}

/** The health checks that a model asks for, one a Service. */
export function serviceHealthChecks(model: ProxyModel): readonly ServiceHealthCheck[] {
  const services = new Map<string, { namespace: string; name: string; port: number; local: Set<string> }>();
  for (const { namespace, name, healthCheckNodePort, allEndpoints } of model.servicePorts) {
    if (healthCheckNodePort === undefined) continue;
    const key = namespacedName({ namespace, name });
    const service = services.get(key) ?? { namespace, name, port: healthCheckNodePort, local: new Set() };
    services.set(key, service);
    for (const endpoint of allEndpoints) if (endpoint.isLocal && endpoint.isReady) service.local.add(endpoint.address);
  }
  return [...services.values()].map(({ local, ...service }) => ({ ...service, localEndpoints: local.size }));
}

/**
 * The addresses to serve health checks on: one wildcard when node ports are accepted everywhere, else those addresses
 * (none: no server).
 */
export function serviceHealthAddresses(model: ProxyModel): readonly string[] {
  if (model.nodePortAddresses !== 'all') return model.nodePortAddresses;
  return [model.family === 'IPv4' ? '0.0.0.0' : '::'];
}

export interface ServiceHealthOptions {
  /** The proxy as a whole is healthy (eligibility of the node apart). */
  readonly isHealthy: () => boolean;
  readonly clock: Clock;
  /** A server could not be opened; told once for as long as the same error lasts. */
  readonly onListenFailure: (check: ServiceHealthCheck, error: Error) => void;
  /** Our mistake. */
  readonly onError: (error: unknown) => void;
}

const maxConnections = 64;
const retryMs = 5_000;

interface ServiceServers {
  /** Replaced by each update; the servers answer from it. */
  check: ServiceHealthCheck;
  readonly addresses: readonly string[];
  readonly servers: Server[];
  failure?: string;
  cancelRetry: () => void;
}

/** The servers behind health check node ports, for one IP family. */
export class ServiceHealthServers {
  readonly #options: ServiceHealthOptions;
  readonly #services = new Map<string, ServiceServers>();
  /** Updates one after the other: a port may pass from one Service to another. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: ServiceHealthOptions) {
    this.#options = options;
  }

  /** Opens, closes and updates servers so that they are these. Resolves when each was opened, or tried. */
  update(checks: readonly ServiceHealthCheck[], addresses: readonly string[]): Promise<void> {
    // Rejections are for this caller; the next update goes on all the same.
    const done = this.#work.then(() => this.#update(checks, addresses));
    this.#work = done.catch(() => undefined);
    return done;
  }

  /** Closes all. */
  close(): Promise<void> {
    return this.update([], []);
  }

  async #update(checks: readonly ServiceHealthCheck[], addresses: readonly string[]): Promise<void> {
    const wanted = new Map(checks.map((check) => [namespacedName(check), check]));
    const opened: ServiceServers[] = [];
    for (const [key, service] of this.#services) {
      const check = wanted.get(key);
      if (check !== undefined && check.port === service.check.port && isSame(service.addresses, addresses)) {
        service.check = check;
        continue;
      }
      this.#services.delete(key);
      service.cancelRetry();
      await closeAll(service);
    }
    for (const [key, check] of wanted) {
      if (this.#services.has(key)) continue;
      const service: ServiceServers = { check, addresses, servers: [], cancelRetry: () => undefined };
      this.#services.set(key, service);
      opened.push(service);
    }
    for (const service of opened) await this.#open(service);
  }

  /** All addresses or none: a load balancer must not see a Service differently by the address it asks. */
  async #open(service: ServiceServers): Promise<void> {
    try {
      for (const address of service.addresses) {
        const { onError } = this.#options;
        const handler = () => serviceHealthAnswer(service.check, this.#options.isHealthy());
        const server = createHttpServer({ handler, maxConnections, onError });
        await listen(server, { address, port: service.check.port, wildcard: 'own' });
        service.servers.push(server);
      }
      delete service.failure;
    } catch (error) {
      await closeAll(service);
      this.#failed(service, error as Error);
    }
  }

  #failed(service: ServiceServers, error: Error): void {
    if (service.failure !== error.message) this.#options.onListenFailure(service.check, error);
    service.failure = error.message;
    service.cancelRetry = this.#options.clock.after(retryMs, () => {
      this.#work = this.#work.then(() => (this.#isCurrent(service) ? this.#open(service) : undefined));
    });
  }

  #isCurrent(service: ServiceServers): boolean {
    return this.#services.get(namespacedName(service.check)) === service;
  }
}

async function closeAll(service: ServiceServers): Promise<void> {
  await Promise.all(service.servers.splice(0).map(closeServer));
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((address, index) => address === right[index]);
}

/** The answer to whatever is asked on a health check node port. */
function serviceHealthAnswer(check: ServiceHealthCheck, isHealthy: boolean): Answer {
  const { namespace, name, localEndpoints } = check;
  return {
    status: localEndpoints > 0 && isHealthy ? 200 : 503,
    headers: {
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'X-Load-Balancing-Endpoint-Weight': String(localEndpoints),
    },
    body: JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy: isHealthy }, null, '\t'),
  };
}
