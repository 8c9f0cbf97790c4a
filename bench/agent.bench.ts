import { createAgentLab, eventually } from '../test/support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../test/support/agent-lab.ts';
import { apiService, apiSlice } from '../test/support/cluster-lab.ts';
import { cpuSeconds, residentMiB } from './process-usage.ts';
import { soak } from './soak.ts';

/**
 * `npm run bench:agent [-- SIZE… MODE…]`: the whole agent as it is shipped, in a namespace, against a fake API server.
 * A size is a number of Services with two endpoints each, or both numbers: `5000x5`. CPU is that of the agent and of all
 * its tools.
 * `npm run bench:agent -- soak [MODE…]`: what it holds after each quarter of 20,000 events.
 */
const settings: readonly Setting[] = [
  { name: 'iptables (nf_tables)', args: ['--iptables-variant', 'nft'], idleSeconds: 30 },
  // Read every 25 s for ever.
  { name: 'iptables (legacy)', args: ['--iptables-variant', 'legacy'], idleSeconds: 75 },
  { name: 'nftables', args: ['--proxy-mode', 'nftables'], idleSeconds: 30 },
];
const changes = 15;
/** When the looks that follow a change are over, and only what goes on for ever goes on. */
const settledSeconds = 40;
const target = { address: '10.95.0.1', port: 80 };
const endpoints = ['10.94.0.1', '10.94.0.2'];

const given = process.argv.slice(2);
const sizes = given.flatMap((word) => sizeOf(word) ?? []);
const wanted = given.filter((word) => sizeOf(word) === undefined);
const named = settings.filter(({ name }) => wanted.some((word) => name.includes(word)));
if (wanted.includes('soak')) {
  for (const setting of named.length > 0 ? named : settings.slice(0, 1)) {
    if (!(await soak(setting))) process.exitCode = 1;
  }
} else {
  process.stdout.write(
    '| mode | Services × endpoints | start → packet | CPU of the start | event → packet p50 / p99 | CPU per change | idle CPU | memory | restart: ready, CPU |\n|---|---|---|---|---|---|---|---|---|\n',
  );
  const usualSizes = [1_000, 10_000].map((services) => ({ services, endpoints: 2 }));
  for (const size of sizes.length > 0 ? sizes : usualSizes) {
    for (const setting of wanted.length > 0 ? named : settings) await measure(setting, size);
  }
}

interface Setting {
  readonly name: string;
  readonly args: readonly string[];
  readonly idleSeconds: number;
}

interface Size {
  readonly services: number;
  readonly endpoints: number;
}

function sizeOf(word: string): Size | undefined {
  const [, services, endpoints = 2] = /^(\d+)(?:x(\d+))?$/.exec(word) ?? [];
  return services === undefined ? undefined : { services: Number(services), endpoints: Number(endpoints) };
}

async function measure({ name, args, idleSeconds }: Setting, size: Size): Promise<void> {
  const lab = await createAgentLab('bench');
  try {
    await prepare(lab, size);
    const started = performance.now();
    const agent = lab.start(...args);
    await timeToPacket(lab, 0);
    const startMs = performance.now() - started;
    await ready(lab, agent);
    const startCpu = cpuSeconds(agent.pid);
    const latencies: number[] = [];
    // Its second look at the rules after the start is not part of a change.
    await pause(12_000);
    const beforeCpu = cpuSeconds(agent.pid);
    for (let index = 1; index <= changes; index++) {
      latencies.push(await timeToPacket(lab, index % 2));
      await pause(1_500);
    }
    const changeCpu = (cpuSeconds(agent.pid) - beforeCpu) / changes;
    await settled(lab, agent);
    const idleFrom = cpuSeconds(agent.pid);
    await pause(idleSeconds * 1_000);
    const idle = (cpuSeconds(agent.pid) - idleFrom) / idleSeconds;
    const memory = residentMiB(agent.pid);
    const restart = await restarted(lab, agent, args);
    latencies.sort((left, right) => left - right);
    const quantile = (part: number) => latencies[Math.floor((latencies.length - 1) * part)]?.toFixed(0) ?? '';
    process.stdout.write(
      `| ${name} | ${size.services} × ${size.endpoints} | ${(startMs / 1000).toFixed(2)} s | ${startCpu.toFixed(2)} s | ${quantile(0.5)} / ${quantile(0.99)} ms | ` +
        `${(changeCpu * 1000).toFixed(0)} ms | ${(idle * 100).toFixed(2)} % | ${memory.toFixed(0)} MiB | ${restart} |\n`,
    );
  } finally {
    await lab.remove();
  }
}

async function prepare(lab: AgentLab, { services, endpoints: each }: Size): Promise<void> {
  for (const [index, address] of endpoints.entries()) {
    await lab.namespace.mustExec('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
    await lab.api.tell({ order: 'listen', address, port: 8080, word: String(index) });
  }
  await lab.namespace.mustExec('ip', 'route', 'add', 'default', 'dev', 'lo');
  await lab.api.tell({ order: 'fill', services: services - 1, endpoints: each });
  await lab.api.set(
    {
      kind: 'Node',
      metadata: { name: 'node-1' },
      status: { addresses: [{ type: 'InternalIP', address: endpoints[0] }] },
    },
    apiService('measured', { clusterIP: target.address, clusterIPs: [target.address] }),
  );
}

async function timeToPacket(lab: AgentLab, index: number): Promise<number> {
  const objects = [apiSlice('measured-1', 'measured', [endpoints[index] ?? ''])];
  return Number(await lab.api.tell({ order: 'timeToPacket', objects, ...target, word: String(index) }));
}

async function ready(lab: AgentLab, agent: AgentProcess): Promise<void> {
  await eventually(
    'ready',
    async () => (await lab.api.get('http://127.0.0.1:10256/readyz')).status === 200,
    agent.log,
    300_000,
  );
}

/** After the last change, once the rules were found as they should be and all looks at a change are over. */
async function settled(lab: AgentLab, agent: AgentProcess): Promise<void> {
  const changedAt = Date.now() / 1000;
  await pause(settledSeconds * 1_000);
  const verifiedAt = async () => {
    const { body } = await lab.api.get('http://127.0.0.1:10249/metrics');
    return Number(/^portwright_rules_verified_timestamp_seconds\{ip_family="IPv4"\} (\S+)$/m.exec(body)?.[1]);
  };
  // It comes after three hundred times what the last one took.
  await eventually('verified', async () => (await verifiedAt()) > changedAt, agent.log, 1_200_000);
  // What that look left in memory is collected some seconds later.
  await pause(12_000);
}

async function restarted(lab: AgentLab, agent: AgentProcess, args: readonly string[]): Promise<string> {
  agent.kill('SIGTERM');
  await agent.ended;
  const started = performance.now();
  const next = lab.start(...args);
  await ready(lab, next);
  const seconds = (performance.now() - started) / 1000;
  const wrote = next.log().includes('"rules synced"') ? ', **wrote**' : '';
  return `${seconds.toFixed(2)} s, ${cpuSeconds(next.pid).toFixed(2)} s${wrote}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
