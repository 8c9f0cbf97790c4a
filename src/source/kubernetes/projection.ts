import type {
  EndpointSlice,
  LoadBalancerIngress,
  Node,
  ObjectMeta,
  Service,
  ServiceCIDR,
  ServicePortSpec,
  ServiceSpec,
  SliceEndpoint,
  SlicePort,
} from '../objects.ts';
import { serviceNameLabel } from '../objects.ts';

/**
 * From raw objects to the fields a proxy uses, and no others: everything else (status, managed fields, foreign
 * annotations) may change without anybody noticing. Fields of a wrong type count as absent. Fields are read by the
 * names written here only, so a key such as `__proto__` in an object is never looked at.
 */

/** A Service, or nothing when it has no name. */
export function projectService(raw: unknown): Service | undefined {
  const creationTimestamp = word(record(record(raw)?.metadata)?.creationTimestamp);
  const metadata = projectMetadata(raw, { creationTimestamp });
  if (metadata === undefined) return undefined;
  const spec = record(record(raw)?.spec);
  const ingress = list(record(record(record(raw)?.status)?.loadBalancer)?.ingress, projectIngress);
  return {
    metadata,
    spec: projectServiceSpec(spec),
    ...(ingress === undefined || ingress.length === 0 ? {} : { status: { loadBalancer: { ingress } } }),
  };
}

/** An EndpointSlice, or nothing when it has no name. */
export function projectSlice(raw: unknown): EndpointSlice | undefined {
  const service = record(record(record(raw)?.metadata)?.labels)?.[serviceNameLabel];
  const labels = typeof service === 'string' ? { [serviceNameLabel]: service } : undefined;
  const metadata = projectMetadata(raw, { labels });
  if (metadata === undefined) return undefined;
  const slice = record(raw);
  return {
    metadata,
    addressType: word(slice?.addressType) ?? '',
    endpoints: list(slice?.endpoints, projectEndpoint) ?? [],
    ports: shared(knownPorts, list(slice?.ports, projectSlicePort) ?? []),
  };
}

/** When an EndpointSlice's last change began in the cluster, as its controller noted it (RFC 3339). */
export function changeTriggerTime(raw: unknown): string | undefined {
  return text(record(record(record(raw)?.metadata)?.annotations)?.['endpoints.kubernetes.io/last-change-trigger-time']);
}

/** A Node, or nothing when it has no name. */
export function projectNode(raw: unknown): Node | undefined {
  const zone = text(record(record(record(raw)?.metadata)?.labels)?.[zoneLabel]);
  const metadata = projectMetadata(raw, { labels: zone === undefined ? undefined : { [zoneLabel]: zone } });
  if (metadata === undefined) return undefined;
  const spec = record(record(raw)?.spec);
  const addresses = list(record(record(raw)?.status)?.addresses, projectNodeAddress);
  return {
    metadata,
    spec: defined({
      podCIDR: text(spec?.podCIDR),
      podCIDRs: list(spec?.podCIDRs, text),
      taints: list(spec?.taints, projectTaint),
    }),
    ...(addresses === undefined ? {} : { status: { addresses } }),
  };
}

/** A ServiceCIDR, or nothing when it has no name. */
export function projectServiceCIDR(raw: unknown): ServiceCIDR | undefined {
  const metadata = projectMetadata(raw, {});
  if (metadata === undefined) return undefined;
  return { metadata, spec: defined({ cidrs: list(record(record(raw)?.spec)?.cidrs, text) }) };
}

/** The label of a Node that names its zone. */
const zoneLabel = 'topology.kubernetes.io/zone';

type Raw = Readonly<Record<string, unknown>>;

function projectMetadata(
  raw: unknown,
  extra: {
    readonly creationTimestamp?: string | undefined;
    readonly labels?: Readonly<Record<string, string>> | undefined;
  },
): ObjectMeta | undefined {
  const metadata = record(record(raw)?.metadata);
  const name = text(metadata?.name);
  if (name === undefined || name === '') return undefined;
  return defined({
    name,
    namespace: word(metadata?.namespace),
    uid: text(metadata?.uid),
    creationTimestamp: extra.creationTimestamp,
    labels: extra.labels,
    deletionTimestamp: text(metadata?.deletionTimestamp),
  });
}

function projectServiceSpec(spec: Raw | undefined): ServiceSpec {
  const timeoutSeconds = number(record(record(spec?.sessionAffinityConfig)?.clientIP)?.timeoutSeconds);
  return defined({
    type: word(spec?.type),
    clusterIP: text(spec?.clusterIP),
    clusterIPs: list(spec?.clusterIPs, text),
    ipFamilies: list(spec?.ipFamilies, word),
    ports: list(spec?.ports, projectServicePort),
    externalIPs: list(spec?.externalIPs, text),
    sessionAffinity: word(spec?.sessionAffinity),
    sessionAffinityConfig: timeoutSeconds === undefined ? undefined : { clientIP: { timeoutSeconds } },
    loadBalancerSourceRanges: list(spec?.loadBalancerSourceRanges, text),
    externalTrafficPolicy: word(spec?.externalTrafficPolicy),
    internalTrafficPolicy: word(spec?.internalTrafficPolicy),
    healthCheckNodePort: number(spec?.healthCheckNodePort),
  });
}

function projectServicePort(raw: unknown): ServicePortSpec | undefined {
  const port = record(raw);
  if (port === undefined) return undefined;
  return defined({
    // A port without a number is kept, so that the model can say what is wrong with it.
    port: number(port.port) ?? 0,
    name: word(port.name),
    protocol: word(port.protocol),
    targetPort: number(port.targetPort) ?? word(port.targetPort),
    nodePort: number(port.nodePort),
  });
}

function projectIngress(raw: unknown): LoadBalancerIngress | undefined {
  const ingress = record(raw);
  if (ingress === undefined) return undefined;
  return defined({ ip: text(ingress.ip), hostname: text(ingress.hostname), ipMode: word(ingress.ipMode) });
}

function projectEndpoint(raw: unknown): SliceEndpoint | undefined {
  const endpoint = record(raw);
  if (endpoint === undefined) return undefined;
  const target = record(endpoint.targetRef);
  return defined({
    addresses: list(endpoint.addresses, text) ?? [],
    conditions: projectConditions(record(endpoint.conditions)),
    nodeName: word(endpoint.nodeName),
    zone: word(endpoint.zone),
    hints: projectHints(record(endpoint.hints)),
    targetRef:
      target === undefined
        ? undefined
        : defined({ kind: word(target.kind), namespace: word(target.namespace), name: text(target.name) }),
  });
}

type Conditions = NonNullable<SliceEndpoint['conditions']>;
type Hints = NonNullable<SliceEndpoint['hints']>;

/** There are few combinations and many endpoints: equal conditions are one object. */
const knownConditions = new Map<string, Conditions>();
/** Most slices have one of few lists of ports. */
const knownPorts = new Map<string, readonly SlicePort[]>();

function projectConditions(raw: Raw | undefined): Conditions | undefined {
  if (raw === undefined) return undefined;
  const ready = boolean(raw.ready);
  const serving = boolean(raw.serving);
  const terminating = boolean(raw.terminating);
  return shared(knownConditions, defined({ ready, serving, terminating }));
}

function projectHints(raw: Raw | undefined): Hints | undefined {
  if (raw === undefined) return undefined;
  const names = (value: unknown) =>
    list(value, (item) => {
      const name = word(record(item)?.name);
      return name === undefined ? undefined : { name };
    });
  return defined({ forZones: names(raw.forZones), forNodes: names(raw.forNodes) });
}

function projectSlicePort(raw: unknown): SlicePort | undefined {
  const port = record(raw);
  if (port === undefined) return undefined;
  return defined({ name: word(port.name), protocol: word(port.protocol), port: number(port.port) });
}

function projectNodeAddress(raw: unknown): { type: string; address: string } | undefined {
  const type = word(record(raw)?.type);
  const address = text(record(raw)?.address);
  return type === undefined || address === undefined ? undefined : { type, address };
}

function projectTaint(raw: unknown): { key: string; effect?: string } | undefined {
  const key = text(record(raw)?.key);
  return key === undefined ? undefined : { key, ...defined({ effect: word(record(raw)?.effect) }) };
}

function record(value: unknown): Raw | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : undefined;
}

function list<T>(value: unknown, project: (item: unknown) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items: T[] = [];
  for (const item of value) {
    const projected = project(item);
    if (projected !== undefined) items.push(projected);
  }
  // An array that grew by one at a time keeps room for many more; this one stays as long as its object.
  return items.slice();
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function boolean(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

/** Strings that thousands of objects repeat, each kept once. */
const words = new Map<string, string>();
const maxKnown = 20_000;

/** A string from a small vocabulary: namespace, protocol, port name, node, zone. */
function word(value: unknown): string | undefined {
  return typeof value === 'string' ? once(words, value, value) : undefined;
}

/** The one object for all that say the same. */
function shared<T extends object>(known: Map<string, T>, value: T): T {
  return once(known, JSON.stringify(value), Object.freeze(value));
}

function once<T>(known: Map<string, T>, key: string, value: T): T {
  const first = known.get(key);
  if (first !== undefined) return first;
  if (known.size >= maxKnown) known.clear();
  known.set(key, value);
  return value;
}

type Defined<T> = { -readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  -readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The object without the fields that are undefined. */
function defined<T extends object>(fields: T): Defined<T> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) result[name] = value;
  }
  return result as Defined<T>;
}
