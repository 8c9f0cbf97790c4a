import { endpointSliceCauses, sliceWithDefaults } from './admission/endpoint-slice.ts';
import { endpointsCauses, endpointsWithDefaults } from './admission/endpoints.ts';
import { goQuote } from './admission/field-error.ts';
import { serviceCIDRCauses } from './admission/service-cidr.ts';
import type { StructShape } from './admission/shape.ts';
import {
  endpointSliceShape,
  endpointSliceV1beta1Shape,
  endpointsShape,
  nodeShape,
  podShape,
  serviceCIDRShape,
  serviceShape,
} from './admission/shapes.ts';
import type { Endpoints, Pod } from './endpoint-controller.ts';
import { decodeEntry, isStored, objectName, placeOf, refusal } from './manifest-entry.ts';
import type { DecodedObject, Entry } from './manifest-entry.ts';
import type { ServiceEntry } from './manifest-services.ts';
import type { EndpointSlice, Node, ServiceCIDR, SliceEndpoint } from './objects.ts';
import type { Cause, Problem } from './problem.ts';
import type { Warning } from './warning.ts';

/** What has been found so far. */
export interface Findings {
  readonly services: ServiceEntry[];
  readonly slices: EndpointSlice[];
  readonly endpoints: Endpoints[];
  readonly pods: Pod[];
  readonly nodes: Node[];
  readonly serviceCIDRs: ServiceCIDR[];
  readonly problems: Problem[];
  readonly warnings: Warning[];
  readonly ignored: Map<string, number>;
  /** The first place of each object by kind and name. */
  readonly places: Map<string, Entry>;
  serviceCount: number;
}

export function createFindings(): Findings {
  return {
    services: [],
    slices: [],
    endpoints: [],
    pods: [],
    nodes: [],
    serviceCIDRs: [],
    problems: [],
    warnings: [],
    ignored: new Map(),
    places: new Map(),
    serviceCount: 0,
  };
}

interface Kind {
  /** The resource as the server names it. */
  readonly resource: string;
  readonly versions: ReadonlyMap<string, StructShape>;
  readonly isNamespaced: boolean;
  /** Keeps an object; what speaks against it comes back. */
  readonly keep: (object: DecodedObject, entry: Entry, found: Findings) => readonly Cause[];
}

/** By API group and kind. */
const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  [
    '/Service',
    { resource: 'services', versions: new Map([['v1', serviceShape]]), isNamespaced: true, keep: keepService },
  ],
  [
    '/Endpoints',
    { resource: 'endpoints', versions: new Map([['v1', endpointsShape]]), isNamespaced: true, keep: keepEndpoints },
  ],
  ['/Pod', { resource: 'pods', versions: new Map([['v1', podShape]]), isNamespaced: true, keep: keepPod }],
  ['/Node', { resource: 'nodes', versions: new Map([['v1', nodeShape]]), isNamespaced: false, keep: keepNode }],
  [
    'discovery.k8s.io/EndpointSlice',
    {
      resource: 'endpointslices.discovery.k8s.io',
      versions: new Map([
        ['v1', endpointSliceShape],
        ['v1beta1', endpointSliceV1beta1Shape],
      ]),
      isNamespaced: true,
      keep: keepSlice,
    },
  ],
  [
    'networking.k8s.io/ServiceCIDR',
    {
      resource: 'servicecidrs.networking.k8s.io',
      versions: new Map([
        ['v1', serviceCIDRShape],
        ['v1beta1', serviceCIDRShape],
      ]),
      isNamespaced: false,
      keep: keepServiceCIDR,
    },
  ],
]);

/** Reads one object and keeps it among the findings, or else what is wrong with it. */
export function readEntry(entry: Entry, found: Findings, namespace: string): void {
  const slash = entry.apiVersion.indexOf('/');
  const kind = kinds.get(`${entry.apiVersion.slice(0, Math.max(0, slash))}/${entry.kind}`);
  if (kind === undefined) {
    const name = goQuote(entry.kind).slice(1, -1);
    found.ignored.set(name, (found.ignored.get(name) ?? 0) + 1);
    return;
  }
  if (entry.kind === 'Service') found.serviceCount += 1;
  const shape = kind.versions.get(entry.apiVersion.slice(slash + 1));
  if (shape === undefined) {
    const message = `no matches for kind "${entry.kind}" in version "${entry.apiVersion}"`;
    found.problems.push({ ...placeOf(entry.document, [...entry.path, 'apiVersion']), field: 'apiVersion', message });
    return;
  }
  const object = decodeEntry(entry, shape, kind.isNamespaced ? namespace : undefined);
  if ('message' in object) {
    found.problems.push(object);
    return;
  }
  const repeated = repetition(object, entry, kind, found);
  if (repeated !== undefined) {
    found.problems.push(repeated);
    return;
  }
  const causes = kind.keep(object, entry, found);
  if (causes.length > 0) found.problems.push(refusal(entry, object.metadata, causes));
}

function repetition({ metadata }: DecodedObject, entry: Entry, kind: Kind, found: Findings): Problem | undefined {
  if (metadata.name === '') return undefined;
  const key = `${kind.resource}/${metadata.namespace ?? ''}/${metadata.name}`;
  const first = found.places.get(key);
  if (first === undefined) {
    found.places.set(key, entry);
    return undefined;
  }
  const { line } = placeOf(first.document, first.path);
  return {
    ...placeOf(entry.document, entry.path),
    object: objectName(entry.kind, metadata),
    field: 'metadata.name',
    message: `${kind.resource} ${JSON.stringify(metadata.name)} already exists`,
    detail: `first given in ${first.document.file}:${line ?? first.document.line} (document ${first.document.document})`,
  };
}

// Services are admitted together, when all are known.
function keepService(object: DecodedObject, entry: Entry, found: Findings): readonly Cause[] {
  found.services.push({ entry, service: { spec: {}, ...object } });
  return [];
}

function keepSlice(object: DecodedObject, entry: Entry, found: Findings): readonly Cause[] {
  const given: EndpointSlice = { addressType: '', ...object };
  if (entry.apiVersion.endsWith('v1beta1')) {
    found.warnings.push({
      object: objectName(entry.kind, object.metadata),
      field: 'apiVersion',
      reason: 'DeprecatedVersion',
      message: 'discovery.k8s.io/v1beta1 is gone since Kubernetes 1.25; it is read as discovery.k8s.io/v1',
    });
  }
  const slice = sliceWithDefaults(fromTopology(given));
  const causes = isStored(entry) ? [] : endpointSliceCauses(slice);
  if (causes.length === 0) found.slices.push(slice);
  return causes;
}

/** Old slices name node and zone in a map of labels. */
function fromTopology(slice: EndpointSlice): EndpointSlice {
  const endpoints = slice.endpoints?.map(
    (endpoint: SliceEndpoint & { topology?: Readonly<Record<string, string>> }) => {
      const { topology, ...rest } = endpoint;
      if (topology === undefined) return endpoint;
      const { 'kubernetes.io/hostname': nodeName, 'topology.kubernetes.io/zone': zone } = topology;
      return { ...(nodeName === undefined ? {} : { nodeName }), ...(zone === undefined ? {} : { zone }), ...rest };
    },
  );
  return endpoints === undefined ? slice : { ...slice, endpoints };
}

function keepEndpoints(object: DecodedObject, entry: Entry, found: Findings): readonly Cause[] {
  const endpoints = endpointsWithDefaults(object);
  const causes = isStored(entry) ? [] : endpointsCauses(endpoints);
  if (causes.length === 0) found.endpoints.push(endpoints);
  return causes;
}

function keepPod(object: DecodedObject, _entry: Entry, found: Findings): readonly Cause[] {
  found.pods.push(object);
  return [];
}

function keepNode(object: DecodedObject, _entry: Entry, found: Findings): readonly Cause[] {
  found.nodes.push(object);
  return [];
}

function keepServiceCIDR(object: DecodedObject, entry: Entry, found: Findings): readonly Cause[] {
  const causes = isStored(entry) ? [] : serviceCIDRCauses(object);
  if (causes.length === 0) found.serviceCIDRs.push(object);
  return causes;
}
