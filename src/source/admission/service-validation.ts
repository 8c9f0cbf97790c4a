import type { Service, ServiceSpec } from '../objects.ts';
import type { Cause } from '../problem.ts';
import { addressCauses, cidrCauses, specialAddressCauses } from './address-rules.ts';
import { clusterIPFieldCauses } from './cluster-ip-fields.ts';
import { forbidden, invalid, notSupported, required } from './field-error.ts';
import { dnsLabelErrors, dnsSubdomainErrors, portNumberErrors, qualifiedNameErrors } from './names.ts';
import { labelCauses, objectMetaCauses } from './object-meta.ts';
import { isExternallyAccessible, isHeadless, needsHealthCheckPort } from './service-defaults.ts';
import { portCauses, portSetCauses } from './service-ports.ts';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const affinities = ['ClientIP', 'None'];
const trafficPolicies = ['Cluster', 'Local'];
const distributions = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
const maxAffinitySeconds = 86_400;
const kubeletPort = 10_250;

const topologyMode = 'service.kubernetes.io/topology-mode';
const topologyHints = 'service.kubernetes.io/topology-aware-hints';
const sourceRanges = 'service.beta.kubernetes.io/load-balancer-source-ranges';

/**
 * Everything the API server 1.36 checks about a new Service after defaults and families are settled, in its order.
 * Addresses and ports that the server would choose may be missing.
 */
export function serviceCauses(service: Service): Cause[] {
  const { metadata, spec } = service;
  const { ports = [], type = '', selector } = spec;
  return [
    ...objectMetaCauses(metadata, dnsLabelErrors),
    ...topologyCauses(metadata.annotations ?? {}),
    ...(ports.length === 0 && !isHeadless(spec) && type !== 'ExternalName' ? [required('spec.ports')] : []),
    ...typeCauses(spec),
    ...portCauses(ports),
    ...(selector === undefined ? [] : labelCauses('spec.selector', selector)),
    ...affinityCauses(spec),
    ...clusterIPFieldCauses(spec),
    ...externalIPCauses(spec.externalIPs ?? []),
    ...(types.includes(type) ? [] : [notSupported('spec.type', type, types)]),
    ...portSetCauses(spec),
    ...sourceRangeCauses(service),
    ...loadBalancerCauses(spec),
    ...externalPolicyCauses(spec),
    ...internalPolicyCauses(spec),
    ...distributionCauses(spec),
  ];
}

function topologyCauses(annotations: Readonly<Record<string, string>>): Cause[] {
  const { [topologyMode]: mode, [topologyHints]: hints } = annotations;
  if (mode === undefined || hints === undefined || mode === hints) return [];
  const message = `must match annotations[${topologyHints}] when both are specified`;
  return [invalid(`metadata.annotations[${topologyMode}]`, mode, message)];
}

function typeCauses(spec: ServiceSpec): Cause[] {
  const { type, ports = [] } = spec;
  if (type === 'ExternalName') return externalNameCauses(spec);
  const headless =
    isHeadless(spec) && (type === 'LoadBalancer' || type === 'NodePort')
      ? [invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`)]
      : [];
  if (type !== 'LoadBalancer') return headless;
  const message = `may not expose port ${kubeletPort} externally since it is used by kubelet`;
  const kubelet = ports.flatMap(({ port }, index) =>
    port === kubeletPort ? [invalid(`spec.ports[${index}]`, port, message)] : [],
  );
  return [...kubelet, ...headless];
}

function externalNameCauses(spec: ServiceSpec): Cause[] {
  const { clusterIPs = [], ipFamilies = [], ipFamilyPolicy, externalName = '' } = spec;
  const message = 'may not be set for ExternalName services';
  const name = externalName.endsWith('.') ? externalName.slice(0, -1) : externalName;
  return [
    ...(clusterIPs.length > 0 ? [forbidden('spec.clusterIPs', message)] : []),
    ...(ipFamilies.length > 0 ? [forbidden('spec.ipFamilies', message)] : []),
    ...(ipFamilyPolicy === undefined ? [] : [forbidden('spec.ipFamilyPolicy', message)]),
    ...(name === ''
      ? [required('spec.externalName')]
      : dnsSubdomainErrors(name).map((error) => invalid('spec.externalName', name, error))),
  ];
}

function affinityCauses({ sessionAffinity = '', sessionAffinityConfig }: ServiceSpec): Cause[] {
  if (!affinities.includes(sessionAffinity)) {
    return [notSupported('spec.sessionAffinity', sessionAffinity, affinities)];
  }
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined || (seconds > 0 && seconds <= maxAffinitySeconds)) return [];
  const message = `must be greater than 0 and less than ${maxAffinitySeconds}`;
  return [invalid('spec.sessionAffinityConfig.clientIP.timeoutSeconds', seconds, message)];
}

function externalIPCauses(addresses: readonly string[]): Cause[] {
  return addresses.flatMap((address, index) => {
    const field = `spec.externalIPs[${index}]`;
    const causes = addressCauses(field, address);
    return causes.length > 0 ? causes : specialAddressCauses(field, address);
  });
}

function sourceRangeCauses({ metadata, spec }: Service): Cause[] {
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const annotation = metadata.annotations?.[sourceRanges];
  if (ranges.length === 0 && annotation === undefined) return [];
  // The server spells the field with a capital.
  const field = ranges.length > 0 ? 'spec.LoadBalancerSourceRanges' : `metadata.annotations[${sourceRanges}]`;
  const misplaced =
    spec.type === 'LoadBalancer' ? [] : [forbidden(field, "may only be used when `type` is 'LoadBalancer'")];
  if (ranges.length > 0) {
    return [...misplaced, ...ranges.flatMap((range, index) => cidrCauses(`${field}[${index}]`, range.trim()))];
  }
  const listed = (annotation ?? '').trim();
  return [
    ...misplaced,
    ...(listed === '' ? [] : listed.split(',')).flatMap((range) => cidrCauses(field, range.trim())),
  ];
}

function loadBalancerCauses({ type, allocateLoadBalancerNodePorts, loadBalancerClass }: ServiceSpec): Cause[] {
  const message = "may only be used when `type` is 'LoadBalancer'";
  if (type !== 'LoadBalancer') {
    return [
      ...(allocateLoadBalancerNodePorts === undefined
        ? []
        : [forbidden('spec.allocateLoadBalancerNodePorts', message)]),
      ...(loadBalancerClass === undefined ? [] : [forbidden('spec.loadBalancerClass', message)]),
    ];
  }
  const errors = loadBalancerClass === undefined ? [] : qualifiedNameErrors(loadBalancerClass);
  return errors.map((error) => invalid('spec.loadBalancerClass', loadBalancerClass, error));
}

function externalPolicyCauses(spec: ServiceSpec): Cause[] {
  const { externalTrafficPolicy: policy, healthCheckNodePort: port } = spec;
  const field = 'spec.externalTrafficPolicy';
  const causes: Cause[] = [];
  if (!isExternallyAccessible(spec)) {
    if (policy !== undefined) causes.push(invalid(field, policy, 'may only be set for externally-accessible services'));
  } else if (!trafficPolicies.includes(policy ?? '')) {
    causes.push(notSupported(field, policy ?? '', trafficPolicies));
  }
  if (port === undefined) return causes;
  const errors = needsHealthCheckPort(spec)
    ? portNumberErrors(port)
    : ["may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"];
  return [...causes, ...errors.map((error) => invalid('spec.healthCheckNodePort', port, error))];
}

function internalPolicyCauses({ internalTrafficPolicy: policy }: ServiceSpec): Cause[] {
  if (policy === undefined || trafficPolicies.includes(policy)) return [];
  return [notSupported('spec.internalTrafficPolicy', policy, trafficPolicies)];
}

function distributionCauses({ trafficDistribution }: ServiceSpec): Cause[] {
  if (trafficDistribution === undefined || distributions.includes(trafficDistribution)) return [];
  return [notSupported('spec.trafficDistribution', trafficDistribution, distributions)];
}
