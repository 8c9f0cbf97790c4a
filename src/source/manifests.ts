import { createPools } from './allocation.ts';
import { endpointSlicesFor } from './endpoint-controller.ts';
import { entriesOf } from './manifest-entry.ts';
import { createFindings, readEntry } from './manifest-kinds.ts';
import type { Findings } from './manifest-kinds.ts';
import { admitServices } from './manifest-services.ts';
import { serviceNameLabel } from './objects.ts';
import type { ClusterState, EndpointSlice, Node, Service } from './objects.ts';
import type { Problem } from './problem.ts';
import type { Warning } from './warning.ts';
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
