import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { parseConfig } from '../../src/config/config.ts';
import { modelOptions } from '../../src/config/node.ts';
import { buildModel } from '../../src/model/build.ts';
import type { ProxyModel } from '../../src/model/model.ts';
import { projectNode, projectService, projectSlice } from '../../src/source/kubernetes/projection.ts';
import { serviceNameLabel } from '../../src/source/objects.ts';
import type { EndpointSlice } from '../../src/source/objects.ts';
import { nodeAddresses } from '../support/lab-topology.ts';

const corpus = join(import.meta.dirname, '../corpus/rules');

interface Document {
  readonly kind: string;
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: { readonly clusterIP?: string };
}

/** What node-1 of a recorded case must make true, for both families. */
export async function modelsOf(name: string): Promise<readonly ProxyModel[]> {
  const documents = (loadAll(readFileSync(join(corpus, name, 'state.yaml'), 'utf8')) as readonly Document[]).filter(
    isOurs,
  );
  const of = <T>(kind: string, project: (raw: unknown) => T | undefined): readonly T[] =>
    documents.filter((document) => document.kind === kind).flatMap((document) => project(document) ?? []);
  const slices = new Map<string, EndpointSlice[]>();
  for (const slice of of('EndpointSlice', projectSlice)) {
    const key = `${slice.metadata.namespace ?? 'default'}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`;
    slices.set(key, [...(slices.get(key) ?? []), slice]);
  }
  const node = of('Node', projectNode).find(({ metadata }) => metadata.name === 'node-1')!;
  const { config } = await parseConfig({ config: join(corpus, name, 'config.yaml'), proxyMode: 'nftables' }, (file) =>
    readFileSync(file, 'utf8'),
  );
  const host = { nodeName: 'node-1', node, addresses: nodeAddresses };
  const state = { services: of('Service', projectService), slices, node, serviceCIDRs: [] };
  return (['IPv4', 'IPv6'] as const).map((family) => buildModel(state, modelOptions(config, host, family)));
}

/** What our watches ask for. */
function isOurs({ kind, metadata: { labels = {} }, spec }: Document): boolean {
  if (kind === 'EndpointSlice') return labels['service.kubernetes.io/headless'] === undefined;
  return labels['service.kubernetes.io/service-proxy-name'] === undefined && spec?.clusterIP !== 'None';
}

/** The table that kube-proxy wrote in a recorded case. */
export function recordedTable(name: string, family: ProxyModel['family']): string {
  return readFileSync(join(corpus, name, family === 'IPv6' ? 'table-ip6.nft' : 'table-ip.nft'), 'utf8');
}
