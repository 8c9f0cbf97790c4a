import type { EndpointSlice, Node, Service, ServiceCIDR } from '../objects.ts';
import { changeTriggerTime, projectNode, projectService, projectServiceCIDR, projectSlice } from './projection.ts';
import type { Arrival, StoredObject } from './store.ts';

/** A kind of object to watch: where it is served, which of them, and what is kept of each. */
export interface Resource<T extends StoredObject> {
  /** Plural, as RBAC spells it. */
  readonly name: string;
  readonly kind: string;
  readonly path: string;
  readonly selectors: Readonly<Record<string, string>>;
  /** An `optional` one that is not served or not allowed counts as empty, and is asked for again now and then. */
  readonly presence: 'required' | 'optional';
  /** Nothing when the object is none of this kind or has no name. */
  readonly read: (raw: unknown) => Arrival<T> | undefined;
}

/** Services that this kind of proxy serves: not those of another proxy, no headless ones. */
export const services: Resource<Service> = {
  name: 'services',
  kind: 'Service',
  path: '/api/v1/services',
  selectors: { labelSelector: '!service.kubernetes.io/service-proxy-name', fieldSelector: 'spec.clusterIP!=None' },
  presence: 'required',
  read: (raw) => arrival(raw, 'Service', projectService),
};

/** EndpointSlices, but those of headless Services. */
export const endpointSlices: Resource<EndpointSlice> = {
  name: 'endpointslices',
  kind: 'EndpointSlice',
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  selectors: { labelSelector: '!service.kubernetes.io/headless' },
  presence: 'required',
  read: (raw) => {
    const read = arrival(raw, 'EndpointSlice', projectSlice);
    return read === undefined ? undefined : { ...read, triggerTime: changeTriggerTime(raw) };
  },
};

/** The one Node of this name. */
export function nodeNamed(name: string): Resource<Node> {
  return {
    name: 'nodes',
    kind: 'Node',
    path: '/api/v1/nodes',
    selectors: { fieldSelector: `metadata.name=${name}` },
    presence: 'required',
    read: (raw) => arrival(raw, 'Node', projectNode),
  };
}

/** Ranges of Service addresses. Servers before 1.33 may not have them, nor older roles allow them. */
export const serviceCIDRs: Resource<ServiceCIDR> = {
  name: 'servicecidrs',
  kind: 'ServiceCIDR',
  path: '/apis/networking.k8s.io/v1/servicecidrs',
  selectors: {},
  presence: 'optional',
  read: (raw) => arrival(raw, 'ServiceCIDR', projectServiceCIDR),
};

/** Items of a list name no kind; objects of a watch do, and one of another kind is not ours. */
function arrival<T>(raw: unknown, kind: string, project: (raw: unknown) => T | undefined): Arrival<T> | undefined {
  const seen = (raw as { readonly kind?: unknown } | null | undefined)?.kind;
  if (seen !== undefined && seen !== kind) return undefined;
  const object = project(raw);
  return object === undefined ? undefined : { object };
}
