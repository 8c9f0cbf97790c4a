/**
 * The Kubernetes objects a proxy reads, with the fields it uses and no others, spelled as the API spells them.
 * A reader of a cluster or of manifests projects to these; nothing later sees a raw object.
 */

export interface ObjectMeta {
  readonly name: string;
  /** Absent only for cluster-scoped kinds. */
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export type IPFamily = 'IPv4' | 'IPv6';

export interface ServicePortSpec {
  readonly name?: string;
  /** `TCP`, `UDP` or `SCTP`; absent means TCP. Anything else is refused by the model. */
  readonly protocol?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly nodePort?: number;
  readonly appProtocol?: string;
}

export interface ServiceSpec {
  readonly type?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly ipFamilies?: readonly string[];
  readonly ipFamilyPolicy?: string;
  readonly ports?: readonly ServicePortSpec[];
  readonly externalIPs?: readonly string[];
  readonly externalName?: string;
  readonly sessionAffinity?: string;
  readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } };
  readonly loadBalancerIP?: string;
  readonly loadBalancerClass?: string;
  readonly loadBalancerSourceRanges?: readonly string[];
  readonly externalTrafficPolicy?: string;
  readonly internalTrafficPolicy?: string;
  readonly healthCheckNodePort?: number;
  readonly publishNotReadyAddresses?: boolean;
  readonly allocateLoadBalancerNodePorts?: boolean;
  readonly trafficDistribution?: string;
}

export interface LoadBalancerIngress {
  readonly ip?: string;
  readonly hostname?: string;
  /** `VIP` (also when absent) is programmed by the proxy, `Proxy` is not. */
  readonly ipMode?: string;
}

export interface Service {
  readonly metadata: ObjectMeta;
  readonly spec: ServiceSpec;
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly LoadBalancerIngress[] } };
}

export interface SliceEndpoint {
  readonly addresses?: readonly string[] | null;
  readonly conditions?: {
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  } | null;
  readonly nodeName?: string | null;
  readonly zone?: string;
  readonly hints?: {
    readonly forZones?: readonly { readonly name: string }[];
    readonly forNodes?: readonly { readonly name: string }[];
  } | null;
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string };
}

export interface SlicePort {
  /** An empty string is a name; null is an error in the object. */
  readonly name?: string | null;
  readonly protocol?: string | null;
  readonly port?: number | null;
}

export interface EndpointSlice {
  readonly metadata: ObjectMeta;
  readonly addressType: string;
  readonly endpoints?: readonly SliceEndpoint[] | null;
  readonly ports?: readonly SlicePort[] | null;
}

export interface Node {
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly taints?: readonly { readonly key: string; readonly effect?: string }[];
  };
  readonly status?: { readonly addresses?: readonly { readonly type: string; readonly address: string }[] };
}

export interface ServiceCIDR {
  readonly metadata: ObjectMeta;
  readonly spec?: { readonly cidrs?: readonly string[] };
}

/** The label of an EndpointSlice that names its Service. */
export const serviceNameLabel = 'kubernetes.io/service-name';

/** EndpointSlices by `namespace/service` (from the service-name label); a Map is one. */
export interface SlicesByService {
  readonly size: number;
  get(service: string): readonly EndpointSlice[] | undefined;
  keys(): Iterator<string> & Iterable<string>;
  values(): Iterator<readonly EndpointSlice[]> & Iterable<readonly EndpointSlice[]>;
  [Symbol.iterator](): Iterator<[string, readonly EndpointSlice[]]>;
  /** The Services whose slices are others than in `earlier`; absent or nothing where only a look at all can tell. */
  changedSince?(earlier: SlicesByService): readonly string[] | undefined;
}

/**
 * A snapshot of the cluster as one node's proxy needs it. Never deltas. Objects, the `services` array and the
 * arrays in `slices` keep their identity from one snapshot to the next while nothing in them changed; every later
 * stage finds out what to do by comparing references.
 */
export interface ClusterState {
  /**
   * Services this proxy serves. Their order settles which of two claimants without differing creation times owns
   * an address: document order for manifests, namespace and name for a cluster.
   */
  readonly services: readonly Service[];
  readonly slices: SlicesByService;
  /** The node this proxy runs on, when known. */
  readonly node?: Node;
  readonly serviceCIDRs: readonly ServiceCIDR[];
}
