import type { ServiceName } from '../ruleset/ruleset.ts';
import { createHash } from 'node:crypto';
import type { IPFamily } from '../source/objects.ts';
import type { Endpoint, ServicePort } from '../model/model.ts';

/** The table of a family, as objects name it. */
export function tableOf(family: IPFamily): string {
  return family === 'IPv6' ? 'ip6 kube-proxy' : 'ip kube-proxy';
}

/** Which endpoints a class chain chooses from, and how its Services are dialled. */
export type ClassKind = 'class' | 'class-local' | 'class-nodeport' | 'class-nodeport-local';

/** The chain that chooses one of `count` endpoints, for all service ports that have so many. */
export function classChain(kind: ClassKind, count: number): string {
  return `${kind}-${count}`;
}

/** As rules spell protocols. */
export type RuleProtocol = 'tcp' | 'udp' | 'sctp';

/** The names of the protocols that nft lists by number: with `-n` or `-p`, and where there is no /etc/protocols. */
export const protocolNames: ReadonlyMap<string, string> = new Map([
  ['6', 'tcp'],
  ['17', 'udp'],
  ['132', 'sctp'],
]);

/** The map in which the class chains of a kind find endpoints, by slot; one for each protocol. */
export function endpointsMap(kind: ClassKind, protocol: RuleProtocol): string {
  return `${protocol}${kind.slice('class'.length)}-endpoints`;
}

/** In the order in which the table lists them. */
export const classKinds: readonly ClassKind[] = ['class', 'class-local', 'class-nodeport', 'class-nodeport-local'];
/** In the order in which the table lists them. */
export const ruleProtocols: readonly RuleProtocol[] = ['tcp', 'udp', 'sctp'];

const endpointsMaps = new Map(
  classKinds.flatMap((kind) => ruleProtocols.map((protocol) => [endpointsMap(kind, protocol), protocol] as const)),
);

/** Names of all maps of endpoints. */
export const endpointsMapNames: readonly string[] = [...endpointsMaps.keys()];

/** The protocol of a map of endpoints, which its keys do not name; absent for other maps and sets. */
export function protocolOfMap(name: string): RuleProtocol | undefined {
  return endpointsMaps.get(name);
}

/** Chains of a service port with session affinity, named as kube-proxy names them. */
export interface ServicePortChains {
  readonly cluster: string;
  readonly local: string;
  readonly external: string;
}

/** The chains of a service port, whether it has them or not. */
export function servicePortChains(port: ServicePort): ServicePortChains {
  const base = uniqueName(identity(port));
  return { cluster: `service-${base}`, local: `local-${base}`, external: `external-${base}` };
}

/** The chain of an endpoint of a service port with session affinity, and the set that remembers its clients. */
export function endpointNames(port: ServicePort, endpoint: Endpoint): { readonly chain: string; readonly set: string } {
  const address = endpoint.address.replaceAll(':', '.');
  const base = uniqueName(`${identity(port)}__${address}/${endpoint.port}`);
  return { chain: `endpoint-${base}`, set: `affinity-${base}` };
}

const ofService =
  /^(?:service|local|external|firewall|endpoint|affinity)-[A-Z2-7]{8}-([a-z0-9][-a-z0-9]*)\/([a-z0-9][-a-z0-9]*)\//;

/** The Service for which a chain or set exists, ours or kube-proxy's; absent for what Services share. */
export function serviceOfName(name: string): ServiceName | undefined {
  const [, namespace, service] = ofService.exec(name) ?? [];
  return namespace === undefined || service === undefined ? undefined : { namespace, name: service };
}

function identity(port: ServicePort): string {
  return `${port.namespace}/${port.name}/${port.protocol.toLowerCase()}/${port.portName}`;
}

/** nft takes 256 bytes (NFT_NAME_MAXLEN); kube-proxy keeps 16 of them for the longest prefix. */
const maxBaseLength = 240;

/** The text behind a hash of it, which keeps it unique when it must be cut. */
function uniqueName(text: string): string {
  const name = `${shortHash(text)}-${text}`;
  return name.length > maxBaseLength ? `${name.slice(0, maxBaseLength - 3)}...` : name;
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The first eight characters of the RFC 4648 base32 of the SHA-256: 40 bits, which a double holds exactly. */
function shortHash(text: string): string {
  let bits = createHash('sha256').update(text).digest().readUIntBE(0, 5);
  let result = '';
  for (let index = 0; index < 8; index++) {
    result = (base32[bits % 32] ?? '') + result;
    bits = Math.floor(bits / 32);
  }
  return result;
}
