import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { sync } from '../../src/agent/sync.ts';
import { backendFor, haveCounters } from '../../src/commands/live/kernel.ts';
import type { Kernel } from '../../src/commands/live/kernel.ts';
import { parseConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/config.ts';
import { modelOptions } from '../../src/config/node.ts';
import { openHost } from '../../src/kernel/host.ts';
import { createSysctl } from '../../src/kernel/sysctl.ts';
import { buildModel } from '../../src/model/build.ts';
import { readTexts } from '../../src/source/files.ts';
import { readManifests } from '../../src/source/manifests.ts';
import type { ClusterState } from '../../src/source/objects.ts';
import type { Lab } from '../support/lab.ts';
import { nodeAddresses } from '../support/lab-topology.ts';
import type { Writer } from './recorded-rules.ts';

/** A cluster's state and a proxy's configuration, as files. */
export interface Given {
  readonly statePath: string;
  readonly configPath: string;
}

/** The whole path of the product, from manifests to the kernel, aimed at the node of a lab. */
export interface OwnRules {
  /** One sync of both families. */
  load(given: Given, writer: Writer): Promise<void>;
  remove(): Promise<void>;
}

/** Prepares effects that run every tool inside the lab's node. */
export async function createOwnRules(lab: Lab): Promise<OwnRules> {
  const path = await mkdtemp(join(tmpdir(), 'pw-packets-'));
  const kernel = await kernelOf(lab, path);
  const counters = await haveCounters(kernel);
  return {
    load: async ({ statePath, configPath }, writer) => {
      const mode = writer === 'nftables' ? 'nftables' : 'iptables';
      const variant = writer === 'iptables-legacy' ? 'legacy' : 'nft';
      const flags = { config: configPath, proxyMode: mode };
      const { config } = await parseConfig(flags, (file) => readFileSync(file, 'utf8'));
      const state = await readState(statePath, config);
      const host = { nodeName: 'node-1', ...(state.node && { node: state.node }), addresses: nodeAddresses };
      for (const family of ['IPv4', 'IPv6'] as const) {
        const model = buildModel(state, modelOptions(config, host, family));
        const { backend } = backendFor(kernel, mode, { family, variant, counters });
        await sync(backend, model, { keepGoing: false });
      }
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

async function kernelOf(lab: Lab, runtimeDirectory: string): Promise<Kernel> {
  const [tool = '', ...args] = lab.node.prefix;
  const host = await openHost({ runtimeDirectory, prefix: [[tool, ...args]], env: lab.node.env });
  const facts = {
    addresses: () => Promise.resolve(nodeAddresses),
    tracksLiberally: () => Promise.resolve(false),
  };
  return { ...host, sysctl: createSysctl(host.files), facts };
}

async function readState(path: string, config: Config): Promise<ClusterState> {
  const readStdin = () => Promise.reject(new Error('nothing is read from standard input'));
  const { texts } = await readTexts([path], { recursive: false, readStdin });
  const { namespace, serviceClusterIPRanges, nodePortRange } = config;
  const options = { namespace, serviceClusterIPRanges, nodePortRange, nodeName: 'node-1' };
  const { state, problems } = readManifests(texts, options);
  if (problems.length > 0) throw new Error(`${path} is refused: ${problems.map(({ message }) => message).join('; ')}`);
  return state;
}
