import type { ClusterState, EndpointSlice, Service, ServicePortSpec, SliceEndpoint } from '../../src/source/objects.ts';
import { serviceNameLabel } from '../../src/source/objects.ts';
import type { ModelOptions } from '../../src/model/options.ts';

/** A stored Service `default/web` of type ClusterIP with port http:80/TCP, and what `overrides` say. */
export function service(
  overrides: Partial<Service['spec']> = {},
  metadata: Partial<Service['metadata']> = {},
): Service {
  return {
    metadata: { namespace: 'default', name: 'web', ...metadata },
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.96.0.10',
      clusterIPs: [overrides.clusterIP ?? '10.96.0.10'],
      ipFamilies: ['IPv4'],
      ports: [port()],
      ...overrides,
    },
  };
}

export function port(overrides: Partial<ServicePortSpec> = {}): ServicePortSpec {
  return { name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, ...overrides };
}

/** A slice of `default/web` with port http:8080/TCP. */
export function slice(
  endpoints: readonly SliceEndpoint[],
  overrides: Partial<EndpointSlice> = {},
  serviceName = 'web',
): EndpointSlice {
  return {
    metadata: { namespace: 'default', name: `${serviceName}-1`, labels: { [serviceNameLabel]: serviceName } },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints,
    ...overrides,
  };
}

/** A ready endpoint on node-1. */
export function endpoint(address: string, overrides: Partial<SliceEndpoint> = {}): SliceEndpoint {
  return { addresses: [address], nodeName: 'node-1', conditions: { ready: true }, ...overrides };
}

export function state(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  rest: Partial<ClusterState> = {},
): ClusterState {
  const grouped = new Map<string, EndpointSlice[]>();
  for (const one of slices) {
    const key = `${one.metadata.namespace ?? ''}/${one.metadata.labels?.[serviceNameLabel] ?? ''}`;
    grouped.set(key, [...(grouped.get(key) ?? []), one]);
  }
  return { services, slices: grouped, serviceCIDRs: [], ...rest };
}

/** node-1 with pods in 10.244.0.0/16, everything else as kube-proxy defaults it. */
export function modelOptions(overrides: Partial<ModelOptions> = {}): ModelOptions {
  return {
    family: 'IPv4',
    nodeName: 'node-1',
    nodeIP: '172.18.0.11',
    hostAddresses: ['172.18.0.11', '127.0.0.1'],
    masqueradeBit: 14,
    masqueradeAll: false,
    localDetector: { kind: 'cidr', cidr: '10.244.0.0/16' },
    nodePortAddresses: 'all',
    localhostNodePorts: true,
    dropInvalid: true,
    allowExternalIPs: true,
    ...overrides,
  };
}

/** `count` Services with `perService` endpoints each, half of them node ports; addresses follow from the number. */
export function manyServices(count: number, perService: number): ClusterState {
  const services: Service[] = [];
  const slices: EndpointSlice[] = [];
  for (let index = 0; index < count; index++) {
    const name = `svc-${String(index).padStart(6, '0')}`;
    const clusterIP = `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
    const nodePort = index % 2 === 0 && index < 60_000 ? { nodePort: 2_000 + index } : {};
    services.push(
      service(
        { clusterIP, type: 'nodePort' in nodePort ? 'NodePort' : 'ClusterIP', ports: [port(nodePort)] },
        { name },
      ),
    );
    const endpoints = Array.from({ length: perService }, (_, position) => {
      const number = index * perService + position;
      return endpoint(`10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`);
    });
    slices.push(slice(endpoints, {}, name));
  }
  return state(services, slices);
}

/** The state after the endpoints of one Service became others; everything else is the same objects. */
export function withEndpoints(
  before: ClusterState,
  serviceName: string,
  endpoints: readonly SliceEndpoint[],
): ClusterState {
  const changed = slice(endpoints, {}, serviceName);
  return { ...before, slices: new Map(before.slices).set(`default/${serviceName}`, [changed]) };
}
