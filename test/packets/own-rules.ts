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
import { createCommitter } from '../../src/kernel/committer.ts';
import { filesThrough } from '../../src/kernel/files.ts';
import { createIptablesTools } from '../../src/kernel/iptables-tools.ts';
import type { Variant } from '../../src/kernel/iptables-tools.ts';
import { createCounters } from '../../src/kernel/nfacct.ts';
import { createRun } from '../../src/kernel/run.ts';
import { openRuntimeDirectory } from '../../src/kernel/runtime-directory.ts';
import { createToolPaths } from '../../src/kernel/tool-paths.ts';
import { buildModel } from '../../src/model/build.ts';
import { projectNode, projectService, projectSlice } from '../../src/source/kubernetes/projection.ts';
import { serviceNameLabel } from '../../src/source/objects.ts';
import type { ClusterState, EndpointSlice, IPFamily, Node } from '../../src/source/objects.ts';
import type { Lab } from '../support/lab.ts';
import { nodeAddresses } from '../support/lab-topology.ts';

/** A cluster's state and a proxy's configuration, as files. */
export interface Given {
  readonly statePath: string;
  readonly configPath: string;
}

/** The whole path of the product, from objects to the kernel, aimed at the node of a lab. */
export interface OwnRules {
  /** One sync of both families. */
  load(given: Given, variant: Variant): Promise<void>;
  remove(): Promise<void>;
}

const counterNames = ['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts'];

/** Prepares effects that run every tool inside the lab's node. */
export async function createOwnRules(lab: Lab): Promise<OwnRules> {
  const [tool = '', ...args] = lab.node.prefix;
  const paths = createToolPaths(process.env['PATH']);
  const run = createRun({ paths, prefix: [[tool, ...args]], env: lab.node.env });
  const path = await mkdtemp(join(tmpdir(), 'pw-packets-'));
  const directory = await openRuntimeDirectory(path);
  const effects = { run, directory, committer: createCommitter(directory, paths), files: filesThrough(run) };
  const counters = (await createCounters(run).ensure(counterNames)).size === counterNames.length;
  const backend = (family: IPFamily, variant: Variant): Backend => {
    const tools = createIptablesTools(effects, variant);
    const kernel = { ...tools, tryLoad: () => Promise.resolve(true) };
    return createIptablesBackend({ family, variant }, { counters }, kernel);
  };
  return {
    load: async ({ statePath, configPath }, variant) => {
      const { state, node } = await readState(statePath);
      const { config } = await parseConfig({ config: configPath }, (file) => readFileSync(file, 'utf8'));
      const host = { nodeName: 'node-1', node, addresses: nodeAddresses };
      for (const family of ['IPv4', 'IPv6'] as const) {
        const model = buildModel(state, modelOptions(config, host, family));
        await sync(backend(family, variant), model, { keepGoing: false });
      }
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
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
