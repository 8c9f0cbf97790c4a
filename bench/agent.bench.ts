import { createAgentLab, eventually } from '../test/support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../test/support/agent-lab.ts';
import { apiService, apiSlice } from '../test/support/cluster-lab.ts';
import { cpuSeconds, residentMiB } from './process-usage.ts';
import { soak } from './soak.ts';

/**
 * `npm run bench:agent [-- SIZE… MODE…]`: the whole agent as it is shipped, in a namespace, against a fake API server.
 * `npm run bench:agent -- soak [MODE…]`: what it holds after each quarter of 20,000 events.
 */
const settings = [
  { name: 'iptables (nf_tables)', args: ['--iptables-variant', 'nft'] },
  { name: 'iptables (legacy)', args: ['--iptables-variant', 'legacy'] },
  { name: 'nftables', args: ['--proxy-mode', 'nftables'] },
];
const changes = 15;
const target = { address: '10.95.0.1', port: 80 };
const endpoints = ['10.94.0.1', '10.94.0.2'];

const given = process.argv.slice(2);
const sizes = given.filter((word) => /^\d+$/.test(word)).map(Number);
const wanted = given.filter((word) => !/^\d+$/.test(word));
const named = settings.filter(({ name }) => wanted.some((word) => name.includes(word)));
if (wanted.includes('soak')) {
  for (const setting of named.length > 0 ? named : settings.slice(0, 1)) {
    if (!(await soak(setting))) process.exitCode = 1;
  }
} else {
  process.stdout.write(
    '| mode | Services × 2 | start → packet | CPU of the start | event → packet p50 / p99 | CPU per change | idle CPU | memory | restart: ready, CPU |\n|---|---|---|---|---|---|---|---|---|\n',
  );
  for (const size of sizes.length > 0 ? sizes : [1_000, 10_000]) {
    for (const setting of wanted.length > 0 ? named : settings) await measure(setting, size);
  }
}

async function measure({ name, args }: { name: string; args: readonly string[] }, size: number): Promise<void> {
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
    await pause(8_000);
    const idleFrom = cpuSeconds(agent.pid);
    await pause(30_000);
    const idle = (cpuSeconds(agent.pid) - idleFrom) / 30;
    const memory = residentMiB(agent.pid);
    const restart = await restarted(lab, agent, args);
    latencies.sort((left, right) => left - right);
    const quantile = (part: number) => latencies[Math.floor((latencies.length - 1) * part)]?.toFixed(0) ?? '';
    process.stdout.write(
      `| ${name} | ${size} | ${(startMs / 1000).toFixed(2)} s | ${startCpu.toFixed(2)} s | ${quantile(0.5)} / ${quantile(0.99)} ms | ` +
        `${(changeCpu * 1000).toFixed(0)} ms | ${(idle * 100).toFixed(2)} % | ${memory.toFixed(0)} MiB | ${restart} |\n`,
    );
  } finally {
    await lab.remove();
  }
}

async function prepare(lab: AgentLab, size: number): Promise<void> {
  for (const [index, address] of endpoints.entries()) {
    await lab.namespace.mustExec('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
    await lab.api.tell({ order: 'listen', address, port: 8080, word: String(index) });
  }
  await lab.namespace.mustExec('ip', 'route', 'add', 'default', 'dev', 'lo');
  await lab.api.tell({ order: 'fill', services: size - 1, endpoints: 2 });
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
