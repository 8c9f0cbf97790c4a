import type { IPFamily } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';

/** `TCP`, `UDP` or `SCTP`, as the API spells them. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** A Service's choice of endpoints for one kind of traffic. */
export type TrafficPolicy = 'Cluster' | 'Local';

/**
 * What happens to a new connection to a service port: `dnat` to one of its endpoints, `reject` when nobody in the
 * cluster can serve it, `drop` when a Local policy finds no endpoint on this node.
 */
export type Verdict = 'dnat' | 'reject' | 'drop';

/** A pod address and port behind a service port, with what decides whether it is used. */
export interface Endpoint {
  /** Canonical address. */
  readonly address: string;
  readonly port: number;
  /** `address:port`, IPv6 in brackets: identity, sort key and hash input. */
  readonly key: string;
  /** On this node. */
  readonly isLocal: boolean;
  readonly isReady: boolean;
  readonly isServing: boolean;
  readonly isTerminating: boolean;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  /** Where it runs, when the slice says so. */
  readonly nodeName?: string;
  /** The pod behind it, `namespace/name`, when the slice says so. */
  readonly pod?: string;
}

/** An endpoint that gets no traffic of a kind, and why. */
export interface LeftOutEndpoint {
  readonly endpoint: Endpoint;
  readonly from: 'cluster' | 'local';
  readonly why: 'not ready' | 'terminating' | 'other zone' | 'other node' | 'not local';
}

/**
 * One port of one Service for one IP family, with every decision made: what each backend turns into rules.
 * A service port that did not change is the same object as in the previous model.
 */
export interface ServicePort {
  readonly family: IPFamily;
  readonly namespace: string;
  readonly name: string;
  /** Empty for the single unnamed port. */
  readonly portName: string;
  readonly protocol: Protocol;
  readonly clusterIP: string;
  readonly port: number;
  readonly nodePort?: number;
  readonly externalIPs: readonly string[];
  /** Load balancer addresses of VIP mode. */
  readonly loadBalancerIPs: readonly string[];
  /**
   * Who may use the load balancer addresses, as masked CIDRs. Absent: everybody. Empty: nobody (ranges were given
   * and none could be read).
   */
  readonly sourceRanges?: readonly string[];
  /** One of the source ranges holds this node's own address. */
  readonly sourceRangesCoverNode: boolean;
  /** Present with session affinity by client address. */
  readonly affinityTimeoutSeconds?: number;
  readonly healthCheckNodePort?: number;
  readonly internalPolicy: TrafficPolicy;
  readonly externalPolicy: TrafficPolicy;
  /** For connections to the cluster IP. */
  readonly internalVerdict: Verdict;
  /** For connections to anything else, from outside the cluster. */
  readonly externalVerdict: Verdict;
  /** Somebody in the cluster can serve this port. */
  readonly hasEndpoints: boolean;
  /** It has a node port, an external IP or a load balancer IP of this family. */
  readonly isExternal: boolean;
  /** Sorted by key, as are the two below. */
  readonly clusterEndpoints: readonly Endpoint[];
  readonly localEndpoints: readonly Endpoint[];
  /** Every endpoint that some traffic can reach: the union of the two above. */
  readonly reachableEndpoints: readonly Endpoint[];
  /** All endpoints of the slices, usable or not. */
  readonly allEndpoints: readonly Endpoint[];
  readonly leftOut: readonly LeftOutEndpoint[];
}

/** How traffic from pods on this node is told from other traffic. Absent: it cannot be told. */
export type LocalDetector =
  | { readonly kind: 'cidr'; readonly cidr: string }
  | { readonly kind: 'interface'; readonly name: string }
  | { readonly kind: 'interface-prefix'; readonly prefix: string };

/** All that one node must make true for one IP family. */
export interface ProxyModel {
  readonly family: IPFamily;
  /** One bit of the packet mark, as a number: `1 << masqueradeBit`, unsigned. */
  readonly masqueradeMark: number;
  readonly masqueradeAll: boolean;
  readonly localDetector?: LocalDetector;
  /** The addresses that accept node port traffic: all of the host's, or these (sorted, no loopback unless allowed). */
  readonly nodePortAddresses: 'all' | readonly string[];
  /** Node ports answer on 127.0.0.0/8 too (IPv4 in iptables mode only). */
  readonly localhostNodePorts: boolean;
  /** Packets that conntrack calls INVALID are dropped when forwarded (not with liberal TCP tracking). */
  readonly dropInvalid: boolean;
  /** Ranges of Service addresses of this family, sorted. */
  readonly serviceCIDRs: readonly string[];
  /** Sorted by namespace, name, port name, protocol. */
  readonly servicePorts: readonly ServicePort[];
  /** More than 1000 endpoints: rules per endpoint carry no comments. */
  readonly isLargeCluster: boolean;
  readonly warnings: readonly Warning[];
}

/** `namespace/name`, with `:port` when the port has a name: how rule comments and people name a service port. */
export function servicePortName(port: Pick<ServicePort, 'namespace' | 'name' | 'portName'>): string {
  const service = `${port.namespace}/${port.name}`;
  return port.portName === '' ? service : `${service}:${port.portName}`;
}
