import type { ProxyModel, ServicePort } from '../../model/model.ts';
import { parseAddress } from '../../ruleset/walk-address.ts';
import type { Address } from '../../ruleset/walk-address.ts';
import type { Host } from '../../ruleset/walk-program.ts';
import { UsageError } from '../failure.ts';
import type { Target, WalkProtocol } from './target.ts';

/** Where a packet goes. */
export interface Destination {
  readonly address: Address;
  readonly port: number;
  readonly protocol: WalkProtocol;
}

/** The Service that a destination belongs to, and by which of its ways in. */
export interface Frontend {
  readonly servicePort: ServicePort;
  readonly way: 'cluster IP' | 'external IP' | 'load balancer IP' | 'node port';
}

/** What is known of the place where the packet walks. */
export interface Surroundings {
  /** One for each family; none when only a dump is given. */
  readonly models: readonly ProxyModel[];
  readonly host: Host;
  /** The node's own addresses, one of each family. */
  readonly primaryAddresses: readonly string[];
}

/** Turns what the user named into an address. A Service stands for its cluster IP, `node` for the node's address. */
export function destinationOf(
  target: Target,
  { models, primaryAddresses }: Surroundings,
  isV6: boolean | undefined,
): Destination {
  if (target.kind === 'address') return { ...target, protocol: target.protocol ?? 'tcp' };
  const candidates = models.filter((model) => isV6 === undefined || (model.family === 'IPv6') === isV6);
  if (target.kind === 'service') {
    if (models.length === 0) throw new UsageError(noServices);
    const port = servicePortOf(target, candidates);
    return { address: mustParse(port.clusterIP), port: port.port, protocol: protocolOf(port) };
  }
  const matching = candidates.flatMap((model) =>
    model.servicePorts
      .filter((port) => port.nodePort === target.port && (target.protocol ?? protocolOf(port)) === protocolOf(port))
      .map((port) => ({ model, protocol: protocolOf(port) })),
  );
  const chosen = matching.find(({ protocol }) => protocol === 'tcp') ?? matching[0];
  const model = chosen?.model ?? candidates[0];
  const text = nodeAddress(model, primaryAddresses, isV6);
  if (text === undefined) {
    const wanted = isV6OfNode(model, isV6);
    const which = wanted === undefined ? 'the address' : wanted ? 'the IPv6 address' : 'the IPv4 address';
    throw new UsageError(`--to node: ${which} of this node is not known; give --node-addresses or a Node`);
  }
  return { address: mustParse(text), port: target.port, protocol: target.protocol ?? chosen?.protocol ?? 'tcp' };
}

/** The Service port that serves a destination, when the models know one. */
export function frontendOf(
  { address, port, protocol }: Destination,
  { models, host }: Surroundings,
): Frontend | undefined {
  for (const model of models) {
    if ((model.family === 'IPv6') !== address.isV6) continue;
    for (const servicePort of model.servicePorts) {
      if (protocolOf(servicePort) !== protocol) continue;
      const way = wayInto(servicePort, address, port, host);
      if (way !== undefined) return { servicePort, way };
    }
  }
  return undefined;
}

/** The protocol as rules and people spell it. */
export function protocolOf(port: ServicePort): WalkProtocol {
  return port.protocol.toLowerCase() as WalkProtocol;
}

function wayInto(servicePort: ServicePort, address: Address, port: number, host: Host): Frontend['way'] | undefined {
  if (servicePort.nodePort === port && host.isLocal(address)) return 'node port';
  if (servicePort.port !== port) return undefined;
  if (servicePort.clusterIP === address.text) return 'cluster IP';
  if (servicePort.externalIPs.includes(address.text)) return 'external IP';
  return servicePort.loadBalancerIPs.includes(address.text) ? 'load balancer IP' : undefined;
}

const noServices =
  '--to: rules alone do not tell which Services there are; give them with -f PATH or --kubeconfig PATH, or an address: IP:PORT';

function servicePortOf(target: Target & { kind: 'service' }, models: readonly ProxyModel[]): ServicePort {
  const { namespace } = target;
  const all = models.flatMap((model) => model.servicePorts);
  const own = all.filter((port) => port.namespace === namespace && port.name === target.name);
  const asked = own.filter(
    (port) =>
      (target.port === undefined || String(port.port) === target.port || port.portName === target.port) &&
      (target.protocol === undefined || protocolOf(port) === target.protocol),
  );
  const [first] = asked;
  const isOnly = asked.every((port) => port.port === first?.port && port.protocol === first.protocol);
  if (first !== undefined && (target.port !== undefined || isOnly)) {
    return asked.find((port) => port.protocol === 'TCP') ?? first;
  }
  const name = `${namespace}/${target.name}`;
  if (own.length === 0)
    throw new UsageError(`--to: no Service ${name} with an address here${elsewhere(target.name, all)}`);
  const ports = [
    ...new Set(own.map((port) => `${port.portName === '' ? '' : `${port.portName} `}${port.port}/${protocolOf(port)}`)),
  ];
  const problem = target.port === undefined ? 'has several ports, name one' : `has no port ${target.port}`;
  throw new UsageError(`--to: Service ${name} ${problem}: ${ports.join(', ')}`);
}

function elsewhere(name: string, all: readonly ServicePort[]): string {
  if (/^\d+$/.test(name)) return `; a node port is node:${name}`;
  if (name === 'localhost') return '; this node is node:NODEPORT, its loopback 127.0.0.1:PORT';
  const namespaces = [...new Set(all.filter((port) => port.name === name).map((port) => port.namespace))];
  return namespaces.length === 0 ? '' : `; there is one in namespace ${namespaces.join(', ')}`;
}

/** The address at which a client would try a node port: one that accepts it. */
function nodeAddress(
  model: ProxyModel | undefined,
  primaries: readonly string[],
  isV6: boolean | undefined,
): string | undefined {
  const wanted = isV6OfNode(model, isV6);
  const own = primaries.filter((text) => wanted === undefined || text.includes(':') === wanted);
  const accepting = model?.nodePortAddresses ?? 'all';
  if (accepting === 'all') return own[0];
  return own.find((text) => accepting.includes(text)) ?? accepting[0] ?? own[0];
}

function isV6OfNode(model: ProxyModel | undefined, isV6: boolean | undefined): boolean | undefined {
  return model === undefined ? isV6 : model.family === 'IPv6';
}

function mustParse(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`unreachable: the model holds ${text} as an address`);
  return address;
}
