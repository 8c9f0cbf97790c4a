import type { Config } from '../../config/config.ts';
import { servicePortName } from '../../model/model.ts';
import type { ProxyModel, ServicePort } from '../../model/model.ts';
import { namespacedName } from '../../ruleset/ruleset.ts';
import type { IPFamily, Service } from '../../source/objects.ts';
import { addressAndPort } from '../../source/address.ts';
import type { FamilyDifference } from '../diff/difference.ts';
import type { Finding } from '../doctor/finding.ts';
import { answersTo } from '../explain/answer.ts';
import type { Answer, ExplainInput } from '../explain/answer.ts';
import { protocolOf } from '../explain/frontend.ts';
import type { Input } from '../input/input.ts';
import type { PortTable } from '../ports/table.ts';
import { concernsOf } from './concerns.ts';
import type { Concern } from './concerns.ts';

/** All that a page tells of a node. */
export interface Report {
  readonly nodeName: string;
  readonly mode: Config['mode'];
  readonly families: readonly IPFamily[];
  /** Whose rules the packets were walked through. */
  readonly rules: 'desired' | 'live';
  /** When the state was read, RFC 3339. */
  readonly time: string;
  readonly table: PortTable;
  /** Sorted by namespace and name. */
  readonly services: readonly ServiceReport[];
  readonly concerns: readonly Concern[];
  /** What was found on the node itself; absent when it was not looked at. */
  readonly findings?: readonly Finding[];
  /** How the live rules differ; absent when they were not looked at. */
  readonly differences?: readonly FamilyDifference[];
  /** What could not be seen, and why. */
  readonly unseen: readonly string[];
}

/** One Service of the page. */
export interface ServiceReport {
  readonly namespace: string;
  readonly name: string;
  readonly type: string;
  /** Empty when no rule is made for it. */
  readonly ports: readonly PortReport[];
  /** Of the port that is worst off. */
  readonly endpoints: { readonly ready: number; readonly total: number };
  readonly concerns: readonly Concern[];
}

/** One port of one family. */
export interface PortReport {
  readonly servicePort: ServicePort;
  readonly ways: readonly WayReport[];
}

/** What becomes of packets to one of the addresses of a Service. */
export interface WayReport {
  readonly way: string;
  /** The address and port dialled. */
  readonly to: string;
  readonly answers: readonly Answer[];
}

/** What the page is made from. */
export interface ReportInput extends Pick<Report, 'rules' | 'time' | 'unseen'> {
  readonly input: Input;
  readonly table: PortTable;
  /** The rules to walk, and the node they are for. */
  readonly walk: ExplainInput;
  readonly findings?: readonly Finding[];
  readonly differences?: readonly FamilyDifference[];
}

/** Walks every usual packet and puts together what there is to tell. */
export function reportOf({ input, table, walk, ...rest }: ReportInput): Report {
  const { config, models, state, host } = input;
  const concerns = concernsOf(input, table, rest);
  const byService = grouped(models);
  const services = state.services.map((service) => {
    const { namespace = '', name } = service.metadata;
    const key = `${namespace}/${name}`;
    const ports = (byService.get(key) ?? []).map((port) => ({ servicePort: port, ways: waysOf(port, walk) }));
    return serviceReport(service, ports, concerns);
  });
  return {
    ...rest,
    nodeName: host.nodeName,
    mode: config.mode,
    families: config.ipFamilies,
    table,
    services: services.toSorted(byName),
    concerns,
  };
}

function serviceReport(
  { metadata, spec }: Service,
  ports: readonly PortReport[],
  concerns: readonly Concern[],
): ServiceReport {
  const { namespace = '', name } = metadata;
  const [worst = { ready: 0, total: 0 }] = ports
    .map(({ servicePort }) => ({
      ready: servicePort.allEndpoints.filter(({ isReady }) => isReady).length,
      total: servicePort.allEndpoints.length,
    }))
    .toSorted((left, right) => left.ready - right.ready || right.total - left.total);
  const own = concerns.filter(({ service }) => service === `${namespace}/${name}`);
  return { namespace, name, type: spec.type ?? 'ClusterIP', ports, endpoints: worst, concerns: own };
}

function grouped(models: readonly ProxyModel[]): ReadonlyMap<string, readonly ServicePort[]> {
  const groups = new Map<string, ServicePort[]>();
  for (const port of models.flatMap(({ servicePorts }) => servicePorts)) {
    const key = namespacedName(port);
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(port);
  }
  for (const group of groups.values()) group.sort((a, b) => compare(servicePortName(a), servicePortName(b)));
  return groups;
}

/** Every address by which clients come to a port. */
function waysOf(servicePort: ServicePort, walk: ExplainInput): readonly WayReport[] {
  const { clusterIP, port, nodePort, externalIPs, loadBalancerIPs } = servicePort;
  const node = nodePort === undefined ? undefined : nodeAddress(servicePort, walk);
  const ways: readonly (readonly [string, string, number])[] = [
    ['cluster IP', clusterIP, port],
    ...(nodePort === undefined || node === undefined ? [] : [['node port', node, nodePort] as const]),
    ...externalIPs.map((address) => ['external IP', address, port] as const),
    ...loadBalancerIPs.map((address) => ['load balancer IP', address, port] as const),
  ];
  return ways.map(([way, address, number]) => {
    const to = addressAndPort(address, number);
    return { way, to, answers: answersTo({ to: `${to}/${protocolOf(servicePort)}` }, walk) };
  });
}

/** The address at which a client would try a node port. */
function nodeAddress({ family }: ServicePort, { models, primaryAddresses }: ExplainInput): string | undefined {
  const accepting = models.find((model) => model.family === family)?.nodePortAddresses ?? 'all';
  const own = primaryAddresses.filter((address) => address.includes(':') === (family === 'IPv6'));
  return accepting === 'all' ? own[0] : (own.find((address) => accepting.includes(address)) ?? accepting[0]);
}

function byName(left: ServiceReport, right: ServiceReport): number {
  return compare(left.namespace, right.namespace) || compare(left.name, right.name);
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
