import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/config.ts';
import { modelOptions } from '../../src/config/node.ts';
import { buildModel } from '../../src/model/build.ts';
import type { ProxyModel } from '../../src/model/model.ts';
import { readManifests } from '../../src/source/manifests.ts';
import type { ClusterState, IPFamily } from '../../src/source/objects.ts';
import { nodeAddresses } from './lab-topology.ts';

const rules = join(import.meta.dirname, '..', 'corpus', 'rules');

/** All addresses of the node on which the corpus was recorded. */
export const corpusAddresses: readonly string[] = [...nodeAddresses, '127.0.0.1', '::1'];

/** The names of the recorded cases. */
export const corpusCases: readonly string[] = readdirSync(rules).toSorted();

export function corpusFile(name: string, file: string): string {
  return readFileSync(join(rules, name, file), 'utf8');
}

export async function corpusConfig(name: string, mode: Config['mode']): Promise<Config> {
  const { config } = await parseConfig({ config: 'config.yaml', proxyMode: mode }, (file) => corpusFile(name, file));
  return config;
}

export function corpusState(name: string): ClusterState {
  return readManifests([{ file: 'state.yaml', text: corpusFile(name, 'state.yaml') }], {
    namespace: 'default',
    serviceClusterIPRanges: ['10.96.0.0/12', 'fd00:10:96::/108'],
    nodePortRange: { first: 30_000, last: 32_767 },
    nodeName: 'node-1',
  }).state;
}

/** The model of a case; `tracksLiberally` as the kernel was set on which its rules were recorded. */
export async function corpusModel(
  name: string,
  mode: Config['mode'],
  family: IPFamily,
  tracksLiberally = false,
): Promise<ProxyModel> {
  const state = corpusState(name);
  const host = {
    nodeName: 'node-1',
    addresses: corpusAddresses,
    tracksLiberally,
    ...(state.node === undefined ? {} : { node: state.node }),
  };
  return buildModel(state, modelOptions(await corpusConfig(name, mode), host, family));
}
