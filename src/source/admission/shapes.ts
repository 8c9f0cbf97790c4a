import { anything, flag, int32, int64, list, map, named, partial, port, struct, text } from './shape.ts';
import type { StructShape } from './shape.ts';

// The kinds we read, from the published API reference of Kubernetes 1.36.

const ownerReference = struct('OwnerReference', {
  apiVersion: text,
  kind: text,
  name: text,
  uid: text,
  controller: flag,
  blockOwnerDeletion: flag,
});

const objectMeta = struct('ObjectMeta', {
  name: text,
  generateName: text,
  namespace: text,
  selfLink: text,
  uid: text,
  resourceVersion: text,
  generation: int64,
  creationTimestamp: text,
  deletionTimestamp: text,
  deletionGracePeriodSeconds: int64,
  labels: map,
  annotations: map,
  ownerReferences: list(ownerReference),
  finalizers: list(text),
  managedFields: anything,
});

const typeMeta = { kind: text, apiVersion: text, metadata: objectMeta };

const objectReference = struct('ObjectReference', {
  kind: text,
  namespace: text,
  name: text,
  uid: text,
  apiVersion: text,
  resourceVersion: text,
  fieldPath: text,
});

const loadBalancerIngress = struct('LoadBalancerIngress', {
  ip: text,
  hostname: text,
  ipMode: named('LoadBalancerIPMode'),
  ports: anything,
});

export const serviceShape: StructShape = struct('Service', {
  ...typeMeta,
  spec: struct('ServiceSpec', {
    ports: list(
      struct('ServicePort', {
        name: text,
        protocol: named('Protocol'),
        appProtocol: text,
        port: int32,
        targetPort: port,
        nodePort: int32,
      }),
    ),
    selector: map,
    clusterIP: text,
    clusterIPs: list(text),
    type: named('ServiceType'),
    externalIPs: list(text),
    sessionAffinity: named('ServiceAffinity'),
    loadBalancerIP: text,
    loadBalancerSourceRanges: list(text),
    externalName: text,
    externalTrafficPolicy: named('ServiceExternalTrafficPolicy'),
    healthCheckNodePort: int32,
    publishNotReadyAddresses: flag,
    sessionAffinityConfig: struct('SessionAffinityConfig', {
      clientIP: struct('ClientIPConfig', { timeoutSeconds: int32 }),
    }),
    ipFamilies: list(named('IPFamily')),
    ipFamilyPolicy: named('IPFamilyPolicy'),
    allocateLoadBalancerNodePorts: flag,
    loadBalancerClass: text,
    internalTrafficPolicy: named('ServiceInternalTrafficPolicy'),
    trafficDistribution: text,
  }),
  status: struct('ServiceStatus', {
    loadBalancer: struct('LoadBalancerStatus', { ingress: list(loadBalancerIngress) }),
    conditions: anything,
  }),
});

const slicePort = struct('EndpointPort', {
  name: text,
  protocol: named('Protocol'),
  port: int32,
  appProtocol: text,
});

const sliceEndpoint = {
  addresses: list(text),
  conditions: struct('EndpointConditions', { ready: flag, serving: flag, terminating: flag }),
  hostname: text,
  targetRef: objectReference,
  nodeName: text,
  hints: struct('EndpointHints', {
    forZones: list(struct('ForZone', { name: text })),
    forNodes: list(struct('ForNode', { name: text })),
  }),
};

export const endpointSliceShape: StructShape = struct('EndpointSlice', {
  ...typeMeta,
  addressType: named('AddressType'),
  endpoints: list(struct('Endpoint', { ...sliceEndpoint, deprecatedTopology: map, zone: text })),
  ports: list(slicePort),
});

/** Of discovery.k8s.io/v1beta1, where an endpoint's zone is an entry of its topology. */
export const endpointSliceV1beta1Shape: StructShape = struct('EndpointSlice', {
  ...typeMeta,
  addressType: named('AddressType'),
  endpoints: list(struct('Endpoint', { ...sliceEndpoint, topology: map })),
  ports: list(slicePort),
});

const endpointAddress = struct('EndpointAddress', {
  ip: text,
  hostname: text,
  nodeName: text,
  targetRef: objectReference,
});

export const endpointsShape: StructShape = struct('Endpoints', {
  ...typeMeta,
  subsets: list(
    struct('EndpointSubset', {
      addresses: list(endpointAddress),
      notReadyAddresses: list(endpointAddress),
      ports: list(struct('EndpointPort', { name: text, port: int32, protocol: named('Protocol'), appProtocol: text })),
    }),
  ),
});

export const serviceCIDRShape: StructShape = struct('ServiceCIDR', {
  ...typeMeta,
  spec: struct('ServiceCIDRSpec', { cidrs: list(text) }),
  status: struct('ServiceCIDRStatus', { conditions: anything }),
});

const container = partial('Container', {
  name: text,
  restartPolicy: named('ContainerRestartPolicy'),
  ports: list(partial('ContainerPort', { name: text, containerPort: int32, protocol: named('Protocol') })),
});

const condition = (name: string): StructShape => partial(name, { type: text, status: text });

export const podShape: StructShape = partial('Pod', {
  metadata: objectMeta,
  spec: partial('PodSpec', { nodeName: text, containers: list(container), initContainers: list(container) }),
  status: partial('PodStatus', {
    phase: named('PodPhase'),
    podIP: text,
    podIPs: list(partial('PodIP', { ip: text })),
    conditions: list(condition('PodCondition')),
  }),
});

export const nodeShape: StructShape = partial('Node', {
  metadata: objectMeta,
  spec: partial('NodeSpec', {
    podCIDR: text,
    podCIDRs: list(text),
    taints: list(partial('Taint', { key: text, effect: named('TaintEffect') })),
  }),
  status: partial('NodeStatus', {
    addresses: list(partial('NodeAddress', { type: named('NodeAddressType'), address: text })),
  }),
});
