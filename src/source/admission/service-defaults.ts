import type { LoadBalancerIngress, Service, ServicePortSpec, ServiceSpec } from '../objects.ts';

/** Traffic from outside the cluster can reach it: the API's notion, which decides about external traffic policy. */
export function isExternallyAccessible(spec: ServiceSpec): boolean {
  const { type, externalIPs = [] } = spec;
  return type === 'LoadBalancer' || type === 'NodePort' || (type === 'ClusterIP' && externalIPs.length > 0);
}

/** Load balancers ask each node whether it has local endpoints. */
export function needsHealthCheckPort(spec: ServiceSpec): boolean {
  return spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
}

/** Headless: DNS answers with the endpoints, no proxy is involved. */
export function isHeadless(spec: ServiceSpec): boolean {
  return (spec.clusterIPs?.[0] ?? spec.clusterIP) === 'None';
}

/** Node ports are chosen for the ports that name none. */
export function wantsNodePorts(spec: ServiceSpec): boolean {
  return spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts === true);
}

/** Fills in what the API server fills in while it reads a Service; empty values count as absent. */
export function withDefaults(service: Service): Service {
  const { metadata, status } = service;
  const given = withoutEmpty(service.spec);
  const { type = 'ClusterIP', sessionAffinity = 'None' } = given;
  const { sessionAffinityConfig, ...rest } = given;
  const spec: ServiceSpec = {
    ...rest,
    type,
    sessionAffinity,
    ...(given.ports === undefined ? {} : { ports: given.ports.map(portWithDefaults) }),
    ...(given.clusterIP === undefined ? {} : { clusterIPs: [given.clusterIP] }),
    ...(sessionAffinity === 'None' || sessionAffinityConfig === undefined ? {} : { sessionAffinityConfig }),
    ...(sessionAffinity === 'ClientIP' ? { sessionAffinityConfig: affinityConfig(given) } : {}),
    ...(['ClusterIP', 'NodePort', 'LoadBalancer'].includes(type)
      ? { internalTrafficPolicy: given.internalTrafficPolicy ?? 'Cluster' }
      : {}),
    ...(isExternallyAccessible({ ...given, type })
      ? { externalTrafficPolicy: given.externalTrafficPolicy ?? 'Cluster' }
      : {}),
    ...(type === 'LoadBalancer' ? { allocateLoadBalancerNodePorts: given.allocateLoadBalancerNodePorts ?? true } : {}),
  };
  const ingress = status?.loadBalancer?.ingress ?? [];
  // A server forgets the status of a new Service until a cloud controller writes it; here nobody else will.
  return { metadata, spec, status: { loadBalancer: ingress.length === 0 ? {} : { ingress: ingress.map(withMode) } } };
}

/** Go cannot tell the empty values of these fields from absent ones. */
function withoutEmpty(spec: ServiceSpec): ServiceSpec {
  return Object.fromEntries(
    Object.entries(spec).filter(([field, value]: [string, unknown]) => {
      // These are pointers: an empty value is a value.
      if (pointers.has(field)) return true;
      if (Array.isArray(value)) return value.length > 0;
      return value !== '' && value !== 0 && value !== false;
    }),
  );
}

const pointers = new Set([
  'ipFamilyPolicy',
  'allocateLoadBalancerNodePorts',
  'loadBalancerClass',
  'internalTrafficPolicy',
  'trafficDistribution',
]);

function portWithDefaults(port: Partial<ServicePortSpec>): ServicePortSpec {
  const { name = '', protocol = '', port: number = 0, targetPort = 0, nodePort = 0, appProtocol } = port;
  return {
    ...(name === '' ? {} : { name }),
    protocol: protocol === '' ? 'TCP' : protocol,
    ...(appProtocol === undefined ? {} : { appProtocol }),
    port: number,
    targetPort: targetPort === 0 || targetPort === '' ? number : targetPort,
    ...(nodePort === 0 ? {} : { nodePort }),
  };
}

function affinityConfig(spec: ServiceSpec): NonNullable<ServiceSpec['sessionAffinityConfig']> {
  const timeoutSeconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800;
  return { clientIP: { timeoutSeconds } };
}

function withMode(ingress: LoadBalancerIngress): LoadBalancerIngress {
  return ingress.ip === undefined || ingress.ip === '' ? ingress : { ipMode: 'VIP', ...ingress };
}
