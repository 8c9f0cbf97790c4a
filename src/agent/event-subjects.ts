import type { ServiceName } from '../ruleset/ruleset.ts';
import type { ClusterState } from '../source/objects.ts';
import { serviceNameLabel } from '../source/objects.ts';
import type { EventRecorder, EventSubject } from '../source/kubernetes/events.ts';

/** Tells people through the API server, where there is one; never throws. */
export type EventSink = Pick<EventRecorder, 'record'>;

/** For what is about the node as a whole. */
export function nodeSubject(name: string): EventSubject {
  return { apiVersion: 'v1', kind: 'Node', name };
}

/** With the uid that the Service has in the state; without one where it is not there. */
export function serviceSubject({ namespace, name }: ServiceName, state: ClusterState | undefined): EventSubject {
  const found = state?.services.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  const uid = found?.metadata.uid;
  return { apiVersion: 'v1', kind: 'Service', name, namespace, ...(uid === undefined ? {} : { uid }) };
}

/** Of an object as warnings name it: `Service default/web`, `EndpointSlice default/web-1`. */
export function warnedSubject(object: string, state: ClusterState | undefined): EventSubject | undefined {
  const [kind = '', path = ''] = object.split(' ');
  const slash = path.indexOf('/');
  if (slash <= 0) return undefined;
  const [namespace, name] = [path.slice(0, slash), path.slice(slash + 1)];
  if (kind === 'Service') return serviceSubject({ namespace, name }, state);
  if (kind !== 'EndpointSlice') return undefined;
  const found = [...(state?.slices.values() ?? [])]
    .flat()
    .find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  const uid = found?.metadata.uid;
  return { apiVersion: 'discovery.k8s.io/v1', kind, name, namespace, ...(uid === undefined ? {} : { uid }) };
}

/** The Service that an object is or belongs to, `namespace/name`; by the name that warnings give it. */
export function warnedService(object: string, state: ClusterState | undefined): string | undefined {
  const [kind, path = ''] = object.split(' ');
  if (kind === 'Service') return path;
  for (const slices of state?.slices.values() ?? []) {
    for (const { metadata } of slices) {
      if (`${metadata.namespace ?? ''}/${metadata.name}` !== path) continue;
      return `${metadata.namespace ?? ''}/${metadata.labels?.[serviceNameLabel] ?? ''}`;
    }
  }
  return undefined;
}
