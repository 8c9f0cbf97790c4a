import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadAll } from 'js-yaml';

import type { Backend } from '../../src/agent/backend.ts';
import { sync } from '../../src/agent/sync.ts';
import { parseConfig } from '../../src/config/config.ts';
import { modelOptions } from '../../src/config/node.ts';
import { createIptablesBackend } from '../../src/iptables/backend.ts';
import { iptablesCounters } from '../../src/iptables/context.ts';
import { openHost } from '../../src/kernel/host.ts';
import type { Host } from '../../src/kernel/host.ts';
import { createIptablesTools } from '../../src/kernel/iptables-tools.ts';
import { createCounters } from '../../src/kernel/nfacct.ts';
import { createNftTool } from '../../src/kernel/nft-tool.ts';
import { buildModel } from '../../src/model/build.ts';
import { createNftablesBackend } from '../../src/nftables/backend.ts';
import { projectNode, projectService, projectSlice } from '../../src/source/kubernetes/projection.ts';
import { serviceNameLabel } from '../../src/source/objects.ts';
import type { ClusterState, EndpointSlice, IPFamily, Node } from '../../src/source/objects.ts';
import type { Lab } from '../support/lab.ts';
import { nodeAddresses } from '../support/lab-topology.ts';
import type { Writer } from './recorded-rules.ts';

/** A cluster's state and a proxy's configuration, as files. */
export interface Given {
  readonly statePath: string;
  readonly configPath: string;
}

/** The whole path of the product, from objects to the kernel, aimed at the node of a lab. */
export interface OwnRules {
  /** One sync of both families. */
  load(given: Given, writer: Writer): Promise<void>;
  remove(): Promise<void>;
}

/** Prepares effects that run every tool inside the lab's node. */
export async function createOwnRules(lab: Lab): Promise<OwnRules> {
  const [tool = '', ...args] = lab.node.prefix;
  const path = await mkdtemp(join(tmpdir(), 'pw-packets-'));
  const host = await openHost({ runtimeDirectory: path, prefix: [[tool, ...args]], env: lab.node.env });
  const made = await createCounters(host.run).ensure(iptablesCounters);
  const counters = made.size === iptablesCounters.length;
  return {
    load: async ({ statePath, configPath }, writer) => {
      const { state, node } = await readState(statePath);
      const flags = { config: configPath, proxyMode: writer === 'nftables' ? 'nftables' : 'iptables' };
      const { config } = await parseConfig(flags, (file) => readFileSync(file, 'utf8'));
      for (const family of ['IPv4', 'IPv6'] as const) {
        const options = modelOptions(config, { nodeName: 'node-1', node, addresses: nodeAddresses }, family);
        await sync(backendFor(host, writer, { family, counters }), buildModel(state, options), { keepGoing: false });
      }
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

function backendFor(
  host: Host,
  writer: Writer,
  { family, counters }: { readonly family: IPFamily; readonly counters: boolean },
): Backend {
  const tryLoad = () => Promise.resolve(true);
  if (writer === 'nftables') return createNftablesBackend(family, { ...createNftTool(host), tryLoad });
  const variant = writer === 'iptables-nft' ? 'nft' : 'legacy';
  return createIptablesBackend({ family, variant }, { counters }, { ...createIptablesTools(host, variant), tryLoad });
}

interface Document {
  readonly kind: string;
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: { readonly clusterIP?: string };
}

/** What our watches ask for. */
function isOurs({ kind, metadata: { labels = {} }, spec }: Document): boolean {
  if (kind === 'EndpointSlice') return labels['service.kubernetes.io/headless'] === undefined;
  if (kind !== 'Service') return true;
  return labels['service.kubernetes.io/service-proxy-name'] === undefined && spec?.clusterIP !== 'None';
}

/** Objects as a watch delivers them: stored ones, nothing to default or to allocate. */
async function readState(path: string): Promise<{ readonly state: ClusterState; readonly node: Node }> {
  const documents = loadAll(await readFile(path, 'utf8')) as readonly Document[];
  const of = <T>(kind: string, project: (raw: unknown) => T | undefined): readonly T[] =>
    documents
      .filter((document) => document.kind === kind && isOurs(document))
      .flatMap((document) => project(document) ?? []);
  const slices = new Map<string, EndpointSlice[]>();
  for (const slice of of('EndpointSlice', projectSlice)) {
    const key = `${slice.metadata.namespace ?? 'default'}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`;
    slices.set(key, [...(slices.get(key) ?? []), slice]);
  }
  const node = of('Node', projectNode).find(({ metadata }) => metadata.name === 'node-1');
  if (node === undefined) throw new Error(`${path} has no Node node-1`);
  return { state: { services: of('Service', projectService), slices, node, serviceCIDRs: [] }, node };
}
