import type { Endpoint, ProxyModel, ServicePort } from '../../src/model/model.ts';

/** An endpoint on another node that serves, unless told otherwise. */
export function endpoint(address: string, port: number, more: Partial<Endpoint> = {}): Endpoint {
  const key = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const conditions = { isLocal: false, isReady: true, isServing: true, isTerminating: false };
  return { address, port, key, ...conditions, zoneHints: [], nodeHints: [], ...more };
}

/** A UDP port 53 of Service `default/dns` without endpoints, unless told otherwise. */
export function servicePort(more: Partial<ServicePort> = {}): ServicePort {
  return {
    family: 'IPv4',
    namespace: 'default',
    name: 'dns',
    portName: '',
    protocol: 'UDP',
    clusterIP: '10.96.0.10',
    port: 53,
    externalIPs: [],
    loadBalancerIPs: [],
    sourceRangesCoverNode: false,
    internalPolicy: 'Cluster',
    externalPolicy: 'Cluster',
    internalVerdict: 'dnat',
    externalVerdict: 'dnat',
    hasEndpoints: true,
    isExternal: false,
    clusterEndpoints: [],
    localEndpoints: [],
    reachableEndpoints: [],
    allEndpoints: [],
    leftOut: [],
    ...more,
  };
}

/** The IPv4 model of a node that accepts node ports on all addresses. */
export function proxyModel(servicePorts: readonly ServicePort[], more: Partial<ProxyModel> = {}): ProxyModel {
  return {
    family: 'IPv4',
    masqueradeMark: 0x4000,
    masqueradeAll: false,
    nodePortAddresses: 'all',
    localhostNodePorts: true,
    dropInvalid: true,
    serviceCIDRs: [],
    servicePorts,
    isLargeCluster: false,
    warnings: [],
    ...more,
  };
}
