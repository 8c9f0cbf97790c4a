import type { ListeningSocket, SocketQuery } from '../kernel/listening-sockets.ts';
import { servicePortName } from '../model/model.ts';
import type { ProxyModel, ServicePort } from '../model/model.ts';
import { differingMiddle } from '../ruleset/split.ts';
import type { ClusterState, IPFamily } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';
import { isInTheWay, listenerText, nodePortAddresses } from './port-listener.ts';
import { Runner } from './runner.ts';
import type { Clock } from './runner.ts';

export interface TakenNodePortsOptions {
  readonly clock: Clock;
  /** The sockets of this host that are wanted. */
  readonly listeners: (isWanted: NonNullable<SocketQuery['isWanted']>) => Promise<readonly ListeningSocket[]>;
  readonly hostAddresses: () => readonly string[];
  readonly state: () => ClusterState | undefined;
  /** The warnings of the family of this model may be others now. */
  readonly onLooked: (model: ProxyModel) => void;
  readonly onError: (error: unknown) => void;
}

/** To read all sockets of a busy host takes a while; many new Services are one reading. */
const minIntervalMs = 10_000;
/** Programs end: as long as one is in the way it is looked for again. */
const againMs = 300_000;

/**
 * Node ports on which a program of this host listens, which gets none of their packets. A proxy holds no node port open,
 * so nothing else tells of it. The sockets are read when node ports appear, and while there is something to warn of.
 */
export class TakenNodePorts {
  readonly #options: TakenNodePortsOptions;
  readonly #runner: Runner;
  readonly #models = new Map<IPFamily, ProxyModel>();
  readonly #found = new Map<IPFamily, Map<string, Warning>>();

  constructor(options: TakenNodePortsOptions) {
    this.#options = options;
    const { clock, onError } = options;
    const run = () => this.#look();
    this.#runner = new Runner({
      ...{ minIntervalMs, retryIntervalMs: againMs, maxIntervalMs: Infinity, clock, run, onError },
    });
  }

  /** The node ports of this model answer. */
  written(model: ProxyModel): void {
    const { before, after } = differingMiddle(this.#models.get(model.family)?.servicePorts ?? [], model.servicePorts);
    this.#models.set(model.family, model);
    const [had, has] = [keysOf(before), keysOf(after)];
    for (const key of had) if (!has.has(key)) this.#found.get(model.family)?.delete(key);
    if ([...has].some((key) => !had.has(key))) this.#runner.request();
  }

  /** One for each service port of a family that is concerned; the same objects until sockets are read again. */
  warnings(family: IPFamily): readonly Warning[] {
    return [...(this.#found.get(family)?.values() ?? [])];
  }

  stop(): Promise<void> {
    return this.#runner.stop();
  }

  async #look(): Promise<'done'> {
    const ports = [...this.#models.values()].flatMap(({ servicePorts }) => servicePorts.filter(hasNodePort));
    const wanted = new Set(ports.map(({ nodePort, protocol }) => `${nodePort}/${protocol}`));
    const sockets =
      wanted.size === 0 ? [] : await this.#options.listeners(({ port, protocol }) => wanted.has(`${port}/${protocol}`));
    for (const model of this.#models.values()) {
      this.#found.set(model.family, this.#warningsOf(model, sockets));
      this.#options.onLooked(model);
    }
    if ([...this.#found.values()].some(({ size }) => size > 0)) this.#runner.requestWithin(againMs);
    return 'done';
  }

  #warningsOf(model: ProxyModel, sockets: readonly ListeningSocket[]): Map<string, Warning> {
    if (sockets.length === 0) return new Map();
    const addresses = nodePortAddresses(model, this.#options.hostAddresses());
    return new Map(
      model.servicePorts.filter(hasNodePort).flatMap((port) => {
        const socket = sockets.find((one) => isInTheWay(one, port, addresses));
        return socket === undefined ? [] : [[keyOf(port), this.#warning(port, socket)] as const];
      }),
    );
  }

  #warning(port: ServicePort, socket: ListeningSocket): Warning {
    const { namespace, name, portName, protocol } = port;
    const service = this.#options.state()?.services.find(({ metadata }) => isNamed(metadata, port));
    const index = (service?.spec.ports ?? []).findIndex(
      (one) => (one.name ?? '') === portName && (one.protocol ?? 'TCP') === protocol,
    );
    return {
      object: `Service ${namespace}/${name}`,
      field: index === -1 ? 'spec.ports' : `spec.ports[${index}].nodePort`,
      reason: 'HostListener',
      message: `${listenerText(socket)}: connections to the node port go to the Service, and never reach it; move the program, or the Service, to another port`,
    };
  }
}

type NodePort = ServicePort & { readonly nodePort: number };

function hasNodePort(port: ServicePort): port is NodePort {
  return port.nodePort !== undefined;
}

function keysOf(ports: readonly ServicePort[]): ReadonlySet<string> {
  return new Set(ports.filter(hasNodePort).map(keyOf));
}

function keyOf(port: NodePort): string {
  return `${servicePortName(port)} ${port.nodePort}/${port.protocol}`;
}

function isNamed(
  left: { readonly namespace?: string; readonly name: string },
  right: { readonly namespace: string; readonly name: string },
): boolean {
  return left.name === right.name && left.namespace === right.namespace;
}
