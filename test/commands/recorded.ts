import { loadAll } from 'js-yaml';
import { parseConfig } from '../../src/config/config.ts';
import type { ProxyMode } from '../../src/config/config.ts';
import { modelOptions } from '../../src/config/node.ts';
import { buildModel } from '../../src/model/build.ts';
import type { ProxyModel } from '../../src/model/model.ts';
import { serviceNameLabel } from '../../src/source/objects.ts';
import type { ClusterState, EndpointSlice, Node, Service } from '../../src/source/objects.ts';
import { recordedHost } from '../ruleset/flows.ts';
import { corpusFile } from '../support/corpus.ts';
import { nodeAddresses } from '../support/lab-topology.ts';

/** What the node of a recorded cluster has to make true, IPv4 first. */
export async function recordedModels(name: string, mode: ProxyMode): Promise<readonly ProxyModel[]> {
  const { config } = await parseConfig({ config: 'config.yaml', proxyMode: mode }, () =>
    corpusFile(name, 'config.yaml'),
  );
  const documents = loadAll(corpusFile(name, 'state.yaml')) as Document[];
  const ofKind = (kind: string): unknown[] =>
    documents.filter((document) => document.kind === kind && !isForOthers(document));
  const node = (ofKind('Node') as Node[]).find(({ metadata }) => metadata.name === 'node-1');
  const slices = new Map<string, EndpointSlice[]>();
  for (const slice of ofKind('EndpointSlice') as EndpointSlice[]) {
    const key = `${slice.metadata.namespace ?? ''}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`;
    slices.set(key, [...(slices.get(key) ?? []), slice]);
  }
  const services = ofKind('Service') as Service[];
  const state: ClusterState = { services, slices, serviceCIDRs: [], ...(node === undefined ? {} : { node }) };
  const host = { nodeName: 'node-1', addresses: nodeAddresses, ...(node === undefined ? {} : { node }) };
  return config.ipFamilies.map((family) => buildModel(state, modelOptions(config, host, family)));
}

interface Document {
  readonly kind: string;
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
}

/** Labels of objects that a proxy does not even watch. */
const notWatched = new Map([
  ['Service', 'service.kubernetes.io/service-proxy-name'],
  ['EndpointSlice', 'service.kubernetes.io/headless'],
]);

function isForOthers({ kind, metadata }: Document): boolean {
  const label = notWatched.get(kind);
  return label !== undefined && metadata.labels !== undefined && label in metadata.labels;
}

/** The node of the recorded clusters, as questions about it need it. */
export function recordedSurroundings(models: readonly ProxyModel[]) {
  return {
    models,
    host: recordedHost(),
    primaryAddresses: ['172.18.0.11', 'fd00:18::11'],
    podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
  };
}
