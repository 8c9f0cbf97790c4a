import { createHash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { byCodeUnits, byName } from './name-order.ts';
import { serviceNameLabel } from './objects.ts';
import type {
  EndpointSlice,
  IPFamily,
  Node,
  ObjectMeta,
  Service,
  ServicePortSpec,
  SliceEndpoint,
  SlicePort,
} from './objects.ts';

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  /** Absent means TCP. */
  readonly protocol?: string;
}

export interface Container {
  readonly ports?: readonly ContainerPort[] | null;
  /** Of init containers: `Always` makes a sidecar, whose ports count. */
  readonly restartPolicy?: string;
}

/** A Pod as far as it decides about endpoints. */
export interface Pod {
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly Container[] | null;
    readonly initContainers?: readonly Container[] | null;
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[] | null;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[] | null;
  };
}

export interface EndpointAddress {
  readonly ip: string;
  readonly nodeName?: string | null;
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string } | null;
}

export interface EndpointSubset {
  readonly addresses?: readonly EndpointAddress[] | null;
  readonly notReadyAddresses?: readonly EndpointAddress[] | null;
  readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[] | null;
}

/** A core/v1 Endpoints object. */
export interface Endpoints {
  readonly metadata: ObjectMeta;
  readonly subsets?: readonly EndpointSubset[] | null;
}

/** Default of the controller's `--max-endpoints-per-slice`. */
const maxEndpointsPerSlice = 100;
/** Default of `--mirroring-max-endpoints-per-subset`, and the API's limit on one EndpointSlice. */
const maxMirroredPerSubset = 1000;

const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const headlessLabel = 'service.kubernetes.io/headless';
const skipMirrorLabel = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const zoneLabel = 'topology.kubernetes.io/zone';

/**
 * The EndpointSlices that a cluster's controllers would make: from Pods for Services with a selector, from an
 * Endpoints object of the same name for those without. The order of the inputs does not matter; the slices come
 * sorted by namespace and Service, their names depend on nothing but their Service, family, ports and place.
 *
 * Two things differ from a cluster: a Pod counts even if its Node is not among `nodes` (manifests seldom hold all
 * of them), and no topology hints are made.
 */
export function endpointSlicesFor(
  services: readonly Service[],
  pods: readonly Pod[],
  endpoints: readonly Endpoints[],
  nodes: readonly Node[],
): EndpointSlice[] {
  const podsOf = podSelector(pods);
  const endpointsByKey = new Map(endpoints.map((object) => [keyOf(object.metadata), object]));
  const zoneByNode = new Map(nodes.map((node) => [node.metadata.name, node.metadata.labels?.[zoneLabel]]));
  return services
    .filter((service) => service.spec.type !== 'ExternalName')
    .toSorted(byMetadata)
    .flatMap((service) => {
      if (hasSelector(service)) return selectedSlices(service, podsOf(service), zoneByNode);
      const source = endpointsByKey.get(keyOf(service.metadata));
      return source && isMirrored(source) ? mirroredSlices(service, source) : [];
    });
}

/**
 * Finds the Pods of a Service that may be endpoints, sorted by name. Pods are indexed by namespace and each of
 * their labels; a lookup walks only the shortest list among those of the selector.
 */
function podSelector(pods: readonly Pod[]): (service: Service) => readonly Pod[] {
  const byLabel = new Map<string, Pod[]>();
  for (const pod of pods.filter(canBeEndpoint).toSorted(byMetadata)) {
    for (const [label, value] of Object.entries(pod.metadata.labels ?? {})) {
      const key = labelKey(pod.metadata.namespace, label, value);
      const list = byLabel.get(key);
      if (list) list.push(pod);
      else byLabel.set(key, [pod]);
    }
  }
  return ({ metadata, spec }) => {
    const wanted = Object.entries(spec.selector ?? {});
    const lists = wanted.map(([label, value]) => byLabel.get(labelKey(metadata.namespace, label, value)) ?? []);
    const shortest = lists.reduce((a, b) => (b.length < a.length ? b : a));
    return shortest.filter((pod) => wanted.every(([label, value]) => pod.metadata.labels?.[label] === value));
  };
}

function labelKey(namespace: string | undefined, label: string, value: string): string {
  return `${namespace ?? ''}/${label}=${value}`;
}

function canBeEndpoint(pod: Pod): boolean {
  const finished = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  return !finished && addressesOf(pod).length > 0;
}

function addressesOf({ status }: Pod): string[] {
  const listed = (status?.podIPs ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
  if (listed.length > 0) return listed;
  return status?.podIP ? [status.podIP] : [];
}

/** An empty selector is stored as none. */
function hasSelector({ spec }: Service): boolean {
  return Object.keys(spec.selector ?? {}).length > 0;
}

/** A family without endpoints still gets one empty slice, so that readers see that there are none. */
function selectedSlices(
  service: Service,
  pods: readonly Pod[],
  zoneByNode: ReadonlyMap<string, string | undefined>,
): EndpointSlice[] {
  const labels = slicesLabels(service.metadata, service.metadata.labels, 'endpointslice-controller.k8s.io');
  if (service.spec.clusterIP === 'None') labels[headlessLabel] = '';
  else Reflect.deleteProperty(labels, headlessLabel);

  return familiesOf(service).flatMap((family) => {
    const groups = new Map<string, Group>();
    for (const pod of pods) {
      const addresses = addressesOf(pod).filter((ip) => familyOf(ip) === family);
      if (addresses.length === 0) continue;
      const ports = portsOn(pod, service);
      groupFor(groups, ports).endpoints.push(podEndpoint(service, pod, addresses, zoneByNode));
    }
    if (groups.size === 0) groupFor(groups, []);
    return slicesOf(service.metadata, labels, family, groups, maxEndpointsPerSlice);
  });
}

interface Group {
  readonly ports: readonly SlicePort[];
  readonly endpoints: SliceEndpoint[];
}

/** Endpoints that listen on the same ports share slices. */
function groupFor(groups: Map<string, Group>, ports: readonly SlicePort[]): Group {
  const key = JSON.stringify(ports.map(({ name, protocol, port }) => [name, protocol, port]).toSorted());
  const existing = groups.get(key);
  if (existing) return existing;
  const created: Group = { ports, endpoints: [] };
  groups.set(key, created);
  return created;
}

/** An object stored before dual stack, or not stored at all, has no families: the policy and addresses tell them. */
function familiesOf({ spec }: Service): IPFamily[] {
  const listed = (spec.ipFamilies ?? []).filter((family) => family === 'IPv4' || family === 'IPv6');
  if (listed.length > 0) return listed;
  const known = (spec.clusterIPs ?? [spec.clusterIP ?? '']).flatMap((ip) => familyOf(ip) ?? []);
  const first = known[0] ?? 'IPv4';
  const other = first === 'IPv4' ? 'IPv6' : 'IPv4';
  const wantsBoth = spec.ipFamilyPolicy === 'RequireDualStack' || spec.ipFamilyPolicy === 'PreferDualStack';
  return wantsBoth || known.includes(other) ? [first, other] : [first];
}

function familyOf(ip: string): IPFamily | undefined {
  if (isIPv4(ip)) return 'IPv4';
  return isIPv6(ip) ? 'IPv6' : undefined;
}

/** The ports of the Service that the Pod has; one whose name no container knows is left out. */
function portsOn(pod: Pod, service: Service): SlicePort[] {
  return (service.spec.ports ?? []).flatMap((servicePort) => {
    const port = targetPortOn(pod, servicePort);
    if (port === undefined) return [];
    return [{ name: servicePort.name ?? '', protocol: servicePort.protocol ?? 'TCP', port }];
  });
}

function targetPortOn({ spec }: Pod, servicePort: ServicePortSpec): number | undefined {
  // The API server stores an absent target, 0 and an empty name all as the port itself.
  const target = servicePort.targetPort || servicePort.port;
  if (typeof target === 'number') return target;
  const sidecars = (spec?.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  return [...(spec?.containers ?? []), ...sidecars]
    .flatMap((container) => container.ports ?? [])
    .find((port) => port.name === target && (port.protocol ?? 'TCP') === (servicePort.protocol ?? 'TCP'))
    ?.containerPort;
}

function podEndpoint(
  service: Service,
  pod: Pod,
  addresses: readonly string[],
  zoneByNode: ReadonlyMap<string, string | undefined>,
): SliceEndpoint {
  const { name, namespace, deletionTimestamp } = pod.metadata;
  const serving = (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
  const terminating = deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const nodeName = pod.spec?.nodeName;
  const zone = nodeName ? zoneByNode.get(nodeName) : undefined;
  return {
    addresses,
    conditions: { ready, serving, terminating },
    targetRef: { kind: 'Pod', ...(namespace !== undefined && { namespace }), name },
    ...(nodeName && { nodeName }),
    ...(zone && { zone }),
  };
}

function isMirrored({ metadata }: Endpoints): boolean {
  return metadata.labels?.[skipMirrorLabel] !== 'true' && metadata.annotations?.[leaderAnnotation] === undefined;
}

function mirroredSlices(service: Service, { metadata, subsets }: Endpoints): EndpointSlice[] {
  const labels = slicesLabels(service.metadata, metadata.labels, 'endpointslicemirroring-controller.k8s.io');
  return (['IPv4', 'IPv6'] as const).flatMap((family) => {
    const groups = new Map<string, Group>();
    for (const subset of subsets ?? []) {
      const ofFamily = mirroredEndpoints(subset).filter(({ addresses }) => familyOf(addresses[0]) === family);
      if (ofFamily.length === 0) continue;
      groupFor(groups, subsetPorts(subset)).endpoints.push(...ofFamily);
    }
    const distinct = new Map([...groups].map(([key, group]) => [key, withoutDuplicates(group)]));
    return slicesOf(service.metadata, labels, family, distinct, maxMirroredPerSubset);
  });
}

type MirroredEndpoint = SliceEndpoint & { readonly addresses: readonly [string] };

function mirroredEndpoints({ addresses, notReadyAddresses }: EndpointSubset): MirroredEndpoint[] {
  return [
    ...(addresses ?? []).map((address) => mirroredEndpoint(address, true)),
    ...(notReadyAddresses ?? []).map((address) => mirroredEndpoint(address, false)),
  ]
    .filter(({ addresses: [ip] }) => familyOf(ip) !== undefined)
    .slice(0, maxMirroredPerSubset);
}

function mirroredEndpoint({ ip, nodeName, targetRef }: EndpointAddress, ready: boolean): MirroredEndpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(targetRef && { targetRef }),
    ...(nodeName && { nodeName }),
  };
}

function subsetPorts({ ports }: EndpointSubset): SlicePort[] {
  return (ports ?? []).map(({ name, protocol, port }) => ({ name: name ?? '', protocol: protocol ?? 'TCP', port }));
}

/** Of an address that is listed twice for one target the last listing counts. */
function withoutDuplicates({ ports, endpoints }: Group): Group {
  const byIdentity = new Map(
    endpoints.map((endpoint) => [
      JSON.stringify([endpoint.addresses, endpoint.targetRef?.namespace, endpoint.targetRef?.name]),
      endpoint,
    ]),
  );
  return { ports, endpoints: [...byIdentity.values()] };
}

/** The labels of the object the slices are made from, and those that belong to the controllers. */
function slicesLabels(
  service: ObjectMeta,
  inherited: Readonly<Record<string, string>> | undefined,
  controller: string,
): Record<string, string> {
  return { ...inherited, [managedByLabel]: controller, [serviceNameLabel]: service.name };
}

function slicesOf(
  service: ObjectMeta,
  labels: Readonly<Record<string, string>>,
  family: IPFamily,
  groups: ReadonlyMap<string, Group>,
  maxEndpoints: number,
): EndpointSlice[] {
  return [...groups].toSorted(byKey).flatMap(([key, { ports, endpoints }]) =>
    chunks(endpoints, maxEndpoints).map((chunk, index) => ({
      metadata: {
        name: `${service.name}-${suffix(keyOf(service), family, key, String(index))}`,
        ...(service.namespace !== undefined && { namespace: service.namespace }),
        labels,
      },
      addressType: family,
      endpoints: chunk,
      ports,
    })),
  );
}

/** Always at least one chunk: no elements make one empty chunk. */
function chunks<T>(list: readonly T[], size: number): T[][] {
  const count = Math.max(1, Math.ceil(list.length / size));
  return Array.from({ length: count }, (_, index) => list.slice(index * size, (index + 1) * size));
}

/** Ten hexadecimal digits: within one namespace two slices practically never meet. */
function suffix(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 10);
}

function keyOf({ namespace, name }: ObjectMeta): string {
  return `${namespace ?? ''}/${name}`;
}

function byMetadata(a: { readonly metadata: ObjectMeta }, b: { readonly metadata: ObjectMeta }): number {
  return byName(a.metadata, b.metadata);
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return byCodeUnits(a, b);
}
