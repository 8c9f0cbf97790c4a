import { parseAddress, parseCidr, cidrContains, addressKind } from '../source/address.ts';
import type { IPFamily, Service, ServicePortSpec } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';
import type { Protocol, ServicePort } from './model.ts';
import type { ModelOptions } from './options.ts';

/** A service port whose endpoints have not been chosen yet: what the Service alone says. */
export type UnresolvedPort = Pick<
  ServicePort,
  | 'family'
  | 'namespace'
  | 'name'
  | 'portName'
  | 'protocol'
  | 'clusterIP'
  | 'port'
  | 'nodePort'
  | 'externalIPs'
  | 'loadBalancerIPs'
  | 'sourceRanges'
  | 'sourceRangesCoverNode'
  | 'affinityTimeoutSeconds'
  | 'healthCheckNodePort'
  | 'internalPolicy'
  | 'externalPolicy'
>;

/** What one Service asks for in one family. */
export interface UnresolvedPorts {
  readonly ports: readonly UnresolvedPort[];
  readonly warnings: readonly Warning[];
}

type Warn = (field: string, reason: string, message: string) => void;

/** The API's default for ClientIP affinity. */
const defaultAffinitySeconds = 10_800;
const maxAffinitySeconds = 86_400;
// Matches what names may be since Kubernetes 1.36, which lets them start with a digit.
const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** The service ports of one Service for one family; none when it has no cluster IP of that family. */
export function unresolvedPorts(service: Service, options: ModelOptions): UnresolvedPorts {
  const warnings: Warning[] = [];
  const { namespace = '', name } = service.metadata;
  const object = `Service ${printable(namespace)}/${printable(name)}`;
  const warn: Warn = (field, reason, message) => warnings.push({ object, field, reason, message });
  if (!isName(namespace) || !isName(name)) {
    warn('metadata.name', 'InvalidName', 'the name is not a DNS label; the Service is not served');
    return { ports: [], warnings };
  }
  const clusterIP = clusterIPOf(service, options.family, warn);
  if (clusterIP === undefined) return warnings.length === 0 ? notOfFamily : { ports: none, warnings };

  const common = {
    family: options.family,
    namespace,
    name,
    clusterIP,
    ...addressesOf(service, options, warn),
    ...policiesOf(service, warn),
    ...affinityOf(service, warn),
  };
  const ports = new Map<string, UnresolvedPort>();
  for (const [index, spec] of (service.spec.ports ?? []).entries()) {
    const port = portOf(spec, `spec.ports[${index}]`, warn);
    // Not by spreading: V8 gives each such copy of a wide object a hidden class of its own, larger than the object.
    if (port !== undefined) ports.set(`${port.portName}/${port.protocol}`, Object.assign(port, common));
  }
  return { ports: [...ports.values()], warnings: shared(warnings) };
}

const none: readonly never[] = [];
/** What nearly every Service is to the family that it is not of. */
const notOfFamily: UnresolvedPorts = { ports: none, warnings: none };

/** One empty list for all: thousands of empty arrays weigh megabytes. */
function shared<Item>(items: readonly Item[]): readonly Item[] {
  return items.length === 0 ? none : items;
}

function clusterIPOf(service: Service, family: IPFamily, warn: Warn): string | undefined {
  const { clusterIP = '', clusterIPs = [], ipFamilies = [], type } = service.spec;
  if (clusterIP === '' || clusterIP === 'None' || type === 'ExternalName') return undefined;
  if (ipFamilies.length === 0) {
    const address = parseAddress(clusterIP);
    if (address === undefined) {
      warn(
        'spec.clusterIP',
        'InvalidAddress',
        `${printable(clusterIP)} is not an IP address; the Service is not served`,
      );
    }
    return address?.family === family ? address.text : undefined;
  }
  const index = ipFamilies.indexOf(family);
  const text = index === -1 ? undefined : clusterIPs[index];
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address?.family !== family) {
    const seen = `${printable(text)} is not an ${family} address`;
    warn(`spec.clusterIPs[${index}]`, 'InvalidAddress', `${seen}; the Service is not served for ${family}`);
    return undefined;
  }
  warnIfRewritten(text, address, `spec.clusterIPs[${index}]`, warn);
  return address.text;
}

function addressesOf(
  service: Service,
  options: ModelOptions,
  warn: Warn,
): Pick<UnresolvedPort, 'externalIPs' | 'loadBalancerIPs' | 'sourceRanges' | 'sourceRangesCoverNode'> {
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const externalIPs = options.allowExternalIPs ? (service.spec.externalIPs ?? []) : [];
  const sourceRanges = sourceRangesOf(service, options.family, warn);
  const { nodeIP } = options;
  const scope = { service, options, warn };
  return {
    externalIPs: shared(
      externalIPs.flatMap((text, index) => externalAddress(text, `spec.externalIPs[${index}]`, scope)),
    ),
    loadBalancerIPs: shared(
      ingress.flatMap(({ ip, ipMode = 'VIP' }, index) =>
        ip === undefined || ip === '' || ipMode !== 'VIP'
          ? []
          : externalAddress(ip, `status.loadBalancer.ingress[${index}].ip`, scope),
      ),
    ),
    ...(sourceRanges === undefined ? {} : { sourceRanges }),
    sourceRangesCoverNode: nodeIP !== undefined && (sourceRanges ?? []).some((range) => cidrContains(range, nodeIP)),
  };
}

interface AddressScope {
  readonly service: Service;
  readonly options: ModelOptions;
  readonly warn: Warn;
}

/** The address if it is one of this family that may be served, as a list of one; else none. */
function externalAddress(text: string, field: string, { service, options, warn }: AddressScope): string[] {
  if (text.trim() === '') return [];
  const address = parseAddress(text);
  if (address === undefined) {
    warn(field, 'InvalidAddress', `${printable(text)} is not an IP address; it is not served`);
    return [];
  }
  if (address.family !== options.family) {
    warnIfLacking(service, address.family, { field, what: `${address.text} is not served`, warn });
    return [];
  }
  const kind = addressKind(address.text);
  if (kind === 'loopback' || kind === 'unspecified') {
    warn(
      field,
      'UnusableAddress',
      `${address.text} is a ${kind} address, which no client outside can reach; it is not served`,
    );
    return [];
  }
  if (options.hostAddresses.includes(address.text)) {
    warn(
      field,
      'NodeAddress',
      `${address.text} is an address of this node; the Service takes its port over on this node`,
    );
  }
  warnIfRewritten(text, address, field, warn);
  return [address.text];
}

/** Said in the family that the Service has: in the one that it lacks nothing of it is looked at. */
function warnIfLacking(
  service: Service,
  family: IPFamily,
  { field, what, warn }: { readonly field: string; readonly what: string; readonly warn: Warn },
): void {
  if (clusterIPOf(service, family, () => undefined) !== undefined) return;
  const advice = `add ${family} to spec.ipFamilies, or take it out`;
  warn(field, 'OtherFamily', `${what}: the Service has no ${family} cluster IP; ${advice}`);
}

/** Absent: everybody may come. Empty: ranges were given and not one could be read, so nobody may. */
function sourceRangesOf(service: Service, family: IPFamily, warn: Warn): readonly string[] | undefined {
  const texts = (service.spec.loadBalancerSourceRanges ?? []).map((range) => range.trim());
  if (texts.every((text) => text === '')) return undefined;
  const parsed = texts.flatMap((text, index) => {
    if (text === '') return [];
    const cidr = parseCidr(text);
    const field = `spec.loadBalancerSourceRanges[${index}]`;
    if (cidr === undefined) {
      warn(
        field,
        'InvalidSourceRange',
        `${printable(text)} is not an address range such as 10.0.0.0/8; it lets nobody in`,
      );
      return [];
    }
    if (cidr.family === family && parseAddress(text.split('/')[0] ?? '')?.text !== cidr.address) {
      warn(field, 'MaskedSourceRange', `${printable(text)} has bits set beyond its prefix; it is read as ${cidr.text}`);
    }
    return [{ ...cidr, field }];
  });
  if (parsed.length === 0) {
    warn(
      'spec.loadBalancerSourceRanges',
      'NoSourceRange',
      'no range could be read; the load balancer addresses let nobody in',
    );
    return [];
  }
  const own = parsed.filter((cidr) => cidr.family === family);
  if (own.length === 0) {
    warn(
      'spec.loadBalancerSourceRanges',
      'OpenFamily',
      `no range is of ${family}; its load balancer addresses are open to everybody`,
    );
    return undefined;
  }
  for (const { field, ...other } of parsed) {
    if (other.family === family) continue;
    warnIfLacking(service, other.family, { field, what: `${other.text} has no effect`, warn });
  }
  return own.some((cidr) => cidr.prefixLength === 0) ? undefined : own.map((cidr) => cidr.text);
}

function policiesOf(
  service: Service,
  warn: Warn,
): Pick<UnresolvedPort, 'internalPolicy' | 'externalPolicy' | 'healthCheckNodePort'> {
  const {
    type = 'ClusterIP',
    externalIPs = [],
    externalTrafficPolicy,
    internalTrafficPolicy,
    healthCheckNodePort,
  } = service.spec;
  const canBeLocal = type === 'LoadBalancer' || type === 'NodePort' || externalIPs.length > 0;
  const externalPolicy = canBeLocal && externalTrafficPolicy === 'Local' ? 'Local' : 'Cluster';
  const policies = { internalPolicy: internalTrafficPolicy === 'Local' ? 'Local' : 'Cluster', externalPolicy } as const;
  if (type !== 'LoadBalancer' || externalPolicy !== 'Local') return policies;
  if (healthCheckNodePort === undefined || !isPort(healthCheckNodePort)) {
    const seen = String(healthCheckNodePort ?? 'nothing');
    warn(
      'spec.healthCheckNodePort',
      'NoHealthCheckPort',
      `${seen} is not a port from 1 to 65535; load balancers cannot check this node`,
    );
    return policies;
  }
  return { ...policies, healthCheckNodePort };
}

function affinityOf(service: Service, warn: Warn): Pick<UnresolvedPort, 'affinityTimeoutSeconds'> {
  if (service.spec.sessionAffinity !== 'ClientIP') return {};
  const seconds = service.spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds;
  if (Number.isInteger(seconds) && seconds > 0 && seconds <= maxAffinitySeconds)
    return { affinityTimeoutSeconds: seconds };
  const field = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
  warn(
    field,
    'InvalidTimeout',
    `${seconds} is not between 1 and ${maxAffinitySeconds} seconds; ${defaultAffinitySeconds} is used`,
  );
  return { affinityTimeoutSeconds: defaultAffinitySeconds };
}

function portOf(
  spec: ServicePortSpec,
  field: string,
  warn: Warn,
): Pick<UnresolvedPort, 'portName' | 'protocol' | 'port' | 'nodePort'> | undefined {
  const { name = '', protocol = 'TCP', port, nodePort = 0 } = spec;
  if (name !== '' && !isName(name)) {
    warn(`${field}.name`, 'InvalidName', `${printable(name)} is not a DNS label; the port is not served`);
    return undefined;
  }
  if (!isProtocol(protocol)) {
    warn(
      `${field}.protocol`,
      'UnsupportedProtocol',
      `${printable(protocol)} is not TCP, UDP or SCTP; the port is not served`,
    );
    return undefined;
  }
  if (!isPort(port)) {
    warn(`${field}.port`, 'InvalidPort', `${port} is not between 1 and 65535; the port is not served`);
    return undefined;
  }
  if (nodePort === 0) return { portName: name, protocol, port };
  if (!isPort(nodePort)) {
    warn(`${field}.nodePort`, 'InvalidPort', `${nodePort} is not between 1 and 65535; the node port is not served`);
    return { portName: name, protocol, port };
  }
  return { portName: name, protocol, port, nodePort };
}

/** Old objects may hold addresses such as 010.0.0.9, which tools and Kubernetes read differently. */
function warnIfRewritten(text: string, address: { family: IPFamily; text: string }, field: string, warn: Warn): void {
  if (address.family === 'IPv4' && text !== address.text) {
    warn(field, 'RewrittenAddress', `${printable(text)} is read as ${address.text}, as Kubernetes does`);
  }
}

/** Whether it is a protocol that Services have; case counts. */
export function isProtocol(text: string): text is Protocol {
  return text === 'TCP' || text === 'UDP' || text === 'SCTP';
}

/** Whether it is the number of a port: 1 to 65535. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

function isName(text: string): boolean {
  return label.test(text);
}

/** User text as it may appear in a message: no control characters, bounded. */
export function printable(text: string): string {
  const bounded = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(bounded)
    .slice(1, -1)
    .replace(/[^\x20-\x7e…]/g, '?');
}
