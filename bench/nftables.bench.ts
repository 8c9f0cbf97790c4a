import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collector } from '../src/agent/idle-memory.ts';
import { buildModel } from '../src/model/build.ts';
import { parseNftables } from '../src/nftables/parse.ts';
import { planNftables } from '../src/nftables/plan.ts';
import { desiredNftables } from '../src/nftables/render.ts';
import { scriptText } from '../src/ruleset/plan.ts';
import type { Ruleset } from '../src/ruleset/ruleset.ts';
import type { ClusterState } from '../src/source/objects.ts';
import { withNamespace } from '../test/support/namespace.ts';
import type { Namespace } from '../test/support/namespace.ts';
import { endpoint, manyServices, modelOptions, port, withEndpoints } from '../test/support/state.ts';
import { kubeProxyTable } from './kube-proxy-table.ts';
import { leastCpuMs, ratioRow } from './table.ts';
import type { Row } from './table.ts';

const options = modelOptions();

/**
 * Our table beside one of kube-proxy's shape for the same Services, loaded into scratch namespaces. Of nft its CPU
 * time counts, user and system, because other work on the machine changes that the least.
 */
export async function nftablesRows(): Promise<readonly Row[]> {
  const theirs = await measureKubeProxy(10_000);
  const ours = await measureOurs(10_000);
  const large = await measureOurs(50_000);
  const seconds = (value: number) => `${value.toPrecision(2)} s`;
  const beside = (own: number, other: number) => `${seconds(own)} beside ${seconds(other)}`;
  return [
    ratioRow(
      'cold load of 10,000 × 2, CPU of nft, beside kube-proxy’s shape',
      ours.coldLoad / theirs.coldLoad,
      1 / 20,
      beside(ours.coldLoad, theirs.coldLoad),
    ),
    ratioRow(
      'cold load of 50,000 × 2, beside five times that of 10,000 × 2',
      large.coldLoad / (5 * ours.coldLoad),
      1.5,
      seconds(large.coldLoad),
    ),
    ratioRow(
      'one endpoint changed at 10,000 × 2, model to kernel, beside a sync of kube-proxy',
      ours.change / theirs.change,
      1 / 100,
      beside(ours.change, theirs.change),
    ),
    {
      what: 'one endpoint changed among 50,000 × 2: model, rules and plan',
      figure: `${(large.planning * 1000).toFixed(1)} ms`,
      bar: '≤ 10 ms',
      holds: large.planning <= 0.01,
    },
    // What grows is the time that Linux takes to start a process for one that has more memory.
    ratioRow(
      'one endpoint changed at 50,000 × 2, beside 10,000 × 2',
      large.change / ours.change,
      2,
      seconds(large.change),
    ),
    ratioRow(
      'full listing of 10,000 × 2, CPU of nft, beside one of kube-proxy’s shape by the same command',
      ours.listing / theirs.listing,
      1 / 5,
      beside(ours.listing, theirs.listing),
    ),
    ratioRow(
      'that listing read and compared, CPU, beside the listing of kube-proxy’s shape',
      ours.comparing / theirs.listing,
      1 / 5,
      seconds(ours.comparing),
    ),
  ];
}

/** As many pods as a node runs, unless the kubelet is told otherwise. */
const podsOfNode = 110;

/** Services with a cluster IP only, which is what both shapes are written for here. */
function clusterIPs(count: number): ClusterState {
  const state = manyServices(count, 2);
  const services = state.services.map((one) => ({ ...one, spec: { ...one.spec, type: 'ClusterIP', ports: [port()] } }));
  const slices = [...state.slices].map(([name, ofService], place) => {
    const spread = ofService.map((slice) => ({
      ...slice,
      endpoints: (slice.endpoints ?? []).map((one, index) => ({
        ...one,
        nodeName: index === 0 && place < podsOfNode ? 'node-1' : 'node-2',
      })),
    }));
    return [name, spread] as const;
  });
  return { ...state, services, slices: new Map(slices) };
}

async function measureOurs(count: number) {
  return withNamespace('bench', async (namespace) => {
    const before = clusterIPs(count);
    const { coldLoad, live } = await measureColdLoad(namespace, before);
    // To start a process costs more the more memory its parent has; an idle agent holds no garbage.
    collector()('all');
    const { change, planning, state } = await measureChange(namespace, before, live);
    const desired = desiredOf(state);
    const listing = await leastListing(namespace);
    const comparing = leastCpuMs(3, () => planNftables(parseNftables(listing.output), desired, 'IPv4')) / 1000;
    return { coldLoad, change, planning, listing: listing.cpuSeconds, comparing };
  });
}

async function measureColdLoad(namespace: Namespace, state: ClusterState) {
  const { scripts, after } = planNftables({ parts: [] }, desiredOf(state), 'IPv4');
  const script = scripts.map(scriptText).join('');
  const loads: number[] = [];
  for (let run = 0; run < 3; run++) {
    await namespace.mustExec('nft', 'flush', 'ruleset');
    loads.push(await load(namespace, script));
  }
  return { coldLoad: Math.min(...loads), live: after };
}

/** Seconds from a changed state to the kernel, and until there is a script. */
async function measureChange(namespace: Namespace, before: ClusterState, loaded: Ruleset) {
  const changes: number[] = [];
  const plannings: number[] = [];
  let live = loaded;
  let state = before;
  for (let round = 0; round < 60; round++) {
    state = withEndpoints(state, 'svc-000101', [endpoint('10.250.0.1'), endpoint(`10.250.1.${round}`)]);
    const start = performance.now();
    const plan = planNftables(live, desiredOf(state), 'IPv4');
    const script = plan.scripts.map(scriptText).join('');
    plannings.push((performance.now() - start) / 1000);
    await load(namespace, script);
    changes.push((performance.now() - start) / 1000);
    live = plan.after;
  }
  return { change: Math.min(...changes), planning: Math.min(...plannings), state };
}

function desiredOf(state: ClusterState): Ruleset {
  return desiredNftables(buildModel(state, options));
}

/** A change costs kube-proxy a transaction, and the terse listing that it takes at every sync. */
async function measureKubeProxy(count: number) {
  return withNamespace('bench', async (namespace) => {
    const { text, oneChange } = kubeProxyTable(buildModel(clusterIPs(count), options));
    const coldLoad = await load(namespace, text);
    const times: number[] = [];
    for (let round = 0; round < 3; round++) {
      const start = performance.now();
      await namespace.mustExec('nft', '-j', '-t', 'list', 'table', 'ip', 'kube-proxy');
      await load(namespace, oneChange);
      times.push((performance.now() - start) / 1000);
    }
    const { cpuSeconds: listing } = await leastListing(namespace);
    return { coldLoad, change: Math.min(...times), listing };
  });
}

/** Gives the script to nft; its CPU time. */
async function load(namespace: Namespace, script: string): Promise<number> {
  return inDirectory((directory) => {
    const file = join(directory, 'script.nft');
    writeFileSync(file, script);
    return cpuSecondsOf(namespace, `nft -f ${file}`);
  });
}

/** As the agent lists: with the same options, and into a file. */
async function leastListing(namespace: Namespace) {
  return inDirectory(async (directory) => {
    const file = join(directory, 'listing.nft');
    const runs: number[] = [];
    for (let run = 0; run < 5; run++) {
      runs.push(await cpuSecondsOf(namespace, `nft -s -p list table ip kube-proxy > ${file}`));
    }
    return { cpuSeconds: Math.min(...runs), output: readFileSync(file, 'utf8') };
  });
}

async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'pw-bench-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The shell's `times` prints what its children used on its second line. */
async function cpuSecondsOf(namespace: Namespace, command: string): Promise<number> {
  const lines = (await namespace.shell(`${command}; times`)).trimEnd().split('\n');
  const used = [...(lines.at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  return used.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}
