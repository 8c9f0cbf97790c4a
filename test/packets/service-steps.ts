import type { ApiObject } from '../support/fake-api-storage.ts';
import type { Flow, SeenSource } from './flow.ts';
import { endpointKey } from './flow.ts';

/** Addresses of the lab by role, IPv4 and IPv6. */
const roles = {
  near: ['10.244.1.11', 'fd00:10:244:1::11'],
  near2: ['10.244.1.12', 'fd00:10:244:1::12'],
  far: ['10.244.2.14', 'fd00:10:244:2::14'],
  pod: ['10.244.1.13', 'fd00:10:244:1::13'],
  outside: ['172.18.0.100', 'fd00:18::100'],
  stranger: ['172.18.0.200', 'fd00:18::200'],
  node: ['172.18.0.11', 'fd00:18::11'],
  clusterIP: ['10.96.0.10', 'fd00:10:96::a'],
  balancer: ['203.0.113.10', 'fd00:203::a'],
} as const;

type Role = keyof typeof roles;
type Pod = 'near' | 'near2' | 'far';
type Family = 'IPv4' | 'IPv6';
const families: readonly Family[] = ['IPv4', 'IPv6'];

/** Every address that a pod of the Service serves on. */
export const podAddresses: readonly string[] = (['near', 'near2', 'far'] as const).flatMap((pod) => [...roles[pod]]);

/** Who sends to what, and who may answer, each with the source it must see; or what else becomes of it. */
export type Sight = readonly [
  from: Role,
  to: Role,
  port: number,
  expected: 'reject' | 'drop' | 'pass' | Partial<Record<Pod, SeenSource>>,
  only?: Family,
];

/** A change in the cluster, and what packets must meet soon afterwards. */
export interface Step {
  readonly title: string;
  readonly objects?: readonly ApiObject[];
  readonly deleted?: readonly string[];
  readonly sights: readonly Sight[];
  /** The status that the Service's health check port answers; 0 when nobody does. */
  readonly health?: number;
}

/** The flows of a sight, one a family. */
export function flowsOf([from, to, port, expected, only]: Sight, hasAffinity: boolean): readonly Flow[] {
  const concerned = only === undefined ? families : [only];
  return concerned.map((family) => ({
    source: address(from, family),
    destination: address(to, family),
    port,
    protocol: 'tcp',
    expect:
      typeof expected === 'string'
        ? { verdict: expected }
        : {
            verdict: 'endpoint',
            endpoints: new Map(
              Object.entries(expected).map(([pod, seen]) => [endpointKey(address(pod as Pod, family), 8080), seen]),
            ),
            hasAffinity,
          },
  }));
}

function address(role: Role, family: Family): string {
  return roles[role][family === 'IPv4' ? 0 : 1];
}

/** Addresses of a role in both families, as a Service lists them. */
export function both(role: Role): readonly string[] {
  return roles[role];
}

export const nodePort = 30_080;
export const healthPort = 32_080;

/** Service `web` with port http:80 as the API server holds it; a LoadBalancer has its address. */
export function web(type: string, spec: object = {}, metadata: object = {}): ApiObject {
  const isBalancer = type === 'LoadBalancer';
  const port = { name: 'http', protocol: 'TCP', port: 80, targetPort: 'http' };
  const clusterIPs = both('clusterIP');
  return {
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', ...metadata },
    spec: {
      type,
      ...(type === 'ExternalName' ? {} : { clusterIP: clusterIPs[0], clusterIPs, ipFamilies: families }),
      ports: [isBalancer || type === 'NodePort' ? { ...port, nodePort } : port],
      ...spec,
    },
    status: { loadBalancer: isBalancer ? { ingress: both('balancer').map((ip) => ({ ip })) } : {} },
  };
}

/** What to say of an endpoint beyond its address and node. */
export type Endpoints = Partial<Record<Pod, object>>;

export const terminating = { conditions: { ready: false, serving: true, terminating: true } };

/** A slice for each family. */
export function slices(
  endpoints: Endpoints,
  suffix = '',
  labels: object = {},
  portName = 'http',
): readonly ApiObject[] {
  return families.map((family) => ({
    kind: 'EndpointSlice',
    metadata: {
      name: `web-${family.toLowerCase()}${suffix}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': 'web', ...labels },
    },
    addressType: family,
    endpoints: Object.entries(endpoints).map(([pod, more]) => ({
      addresses: [address(pod as Pod, family)],
      nodeName: pod === 'far' ? 'node-2' : 'node-1',
      conditions: { ready: true },
      ...more,
    })),
    ports: [{ name: portName, protocol: 'TCP', port: 8080 }],
  }));
}

/** The node, in a zone or in none. */
export function nodeIn(zone?: string): ApiObject {
  return {
    kind: 'Node',
    metadata: { name: 'node-1', labels: zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone } },
    status: { addresses: both('node').map((ip) => ({ type: 'InternalIP', address: ip })) },
  };
}
