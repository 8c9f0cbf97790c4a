import type { Warning } from '../model/model.ts';
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
import { createPools } from './allocation.ts';
import { endpointSlicesFor } from './endpoint-controller.ts';
import type { Endpoints, Pod } from './endpoint-controller.ts';
import { decodeEntry, entriesOf, isStored, objectName, placeOf, refusal } from './manifest-entry.ts';
import type { DecodedObject, Entry } from './manifest-entry.ts';
import { admitServices } from './manifest-services.ts';
import type { ServiceEntry } from './manifest-services.ts';
import { serviceNameLabel } from './objects.ts';
import type { ClusterState, EndpointSlice, Node, Service, ServiceCIDR, SliceEndpoint } from './objects.ts';
import type { Cause, Problem } from './problem.ts';
import { parseDocuments } from './yaml.ts';
import type { ManifestText } from './yaml.ts';

export interface ManifestOptions {
  /** For objects that name none. */
  readonly namespace: string;
  /** Where cluster IPs are chosen from: the first range of each family, the default family first. */
  readonly serviceClusterIPRanges: readonly string[];
  readonly nodePortRange: { readonly first: number; readonly last: number };
  /** Which Node is ours; absent: the only one among the manifests. */
  readonly nodeName?: string;
}

export interface Manifests {
  /** What the API server and its controllers would make of the input, without the objects that it would refuse. */
  readonly state: ClusterState;
  readonly nodes: readonly Node[];
  /** Every problem of the input, in its order. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
  /** How many objects of kinds that do not matter here there were, by kind. */
  readonly ignored: ReadonlyMap<string, number>;
  /** Services in the input, refused ones too. */
  readonly serviceCount: number;
}

/** Reads manifests as a cluster would take them. Reads on after a problem: all of them are reported. */
export function readManifests(texts: readonly ManifestText[], options: ManifestOptions): Manifests {
  const found = createFindings();
  for (const text of texts) {
    const { documents, problems } = parseDocuments(text);
    found.problems.push(...problems);
    for (const document of documents) {
      const { entries, problems: wrong } = entriesOf(document);
      found.problems.push(...wrong);
      for (const entry of entries) readEntry(entry, found, options.namespace);
    }
  }
  const pools = createPools(options.serviceClusterIPRanges, options.nodePortRange);
  const admitted = admitServices(found.services, pools);
  const files = new Map(texts.map(({ file }, index) => [file, index]));
  const order = (problem: Problem): number => (files.get(problem.file) ?? 0) * 1e9 + (problem.line ?? 0);
  return {
    state: stateOf(found, admitted.services, options.nodeName),
    nodes: found.nodes,
    problems: [...found.problems, ...admitted.problems].toSorted((left, right) => order(left) - order(right)),
    warnings: [...found.warnings, ...admitted.warnings],
    ignored: found.ignored,
    serviceCount: found.serviceCount,
  };
}

interface Findings {
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

function createFindings(): Findings {
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

function readEntry(entry: Entry, found: Findings, namespace: string): void {
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

const otherProxyLabel = 'service.kubernetes.io/service-proxy-name';
const headlessLabel = 'service.kubernetes.io/headless';

/** What watches with kube-proxy's selectors would deliver. */
function stateOf(found: Findings, admitted: readonly Service[], nodeName: string | undefined): ClusterState {
  const services = admitted.filter(
    ({ metadata, spec }) => metadata.labels?.[otherProxyLabel] === undefined && spec.clusterIP !== 'None',
  );
  const slices = new Map<string, EndpointSlice[]>();
  const keep = (slice: EndpointSlice): void => {
    const { namespace = '', labels = {} } = slice.metadata;
    const service = labels[serviceNameLabel];
    if (service === undefined || service === '' || labels[headlessLabel] !== undefined) return;
    const key = `${namespace}/${service}`;
    const list = slices.get(key);
    if (list === undefined) slices.set(key, [slice]);
    else list.push(slice);
  };
  found.slices.forEach(keep);
  const withoutSlices = services.filter(({ metadata }) => !slices.has(`${metadata.namespace ?? ''}/${metadata.name}`));
  endpointSlicesFor(withoutSlices, found.pods, found.endpoints, found.nodes).forEach(keep);
  const only = found.nodes.length === 1 ? found.nodes[0] : undefined;
  const node = nodeName === undefined ? only : found.nodes.find(({ metadata }) => metadata.name === nodeName);
  return { services, slices, serviceCIDRs: found.serviceCIDRs, ...(node === undefined ? {} : { node }) };
}
