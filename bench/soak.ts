import { createAgentLab, eventually } from '../test/support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../test/support/agent-lab.ts';
import { apiService, apiSlice } from '../test/support/cluster-lab.ts';
import { childStates, cpuSeconds, openFiles, residentMiB } from './process-usage.ts';

const events = 20_000;
const services = 400;
/** As an API server delivers them: several that happen at once come together. */
const batchSize = 5;
const pauseMs = 40;
/** So much garbage the agent lets lie when it is idle (src/agent/idle-memory.ts): less is no growth. */
const flatMiB = 24;
/** Connections that are used again stay open for a while. */
const flatFiles = 4;

/** What the process holds once it is quiet. */
interface Holdings {
  readonly memoryMiB: number;
  readonly files: number;
  readonly children: number;
  readonly zombies: number;
}

/** Events without end, with cut watches and vandals among them: prints what is held at each quarter. Whether it is flat. */
export async function soak({
  name,
  args,
}: {
  readonly name: string;
  readonly args: readonly string[];
}): Promise<boolean> {
  const lab = await createAgentLab('soak');
  try {
    await lab.api.set({ kind: 'Node', metadata: { name: 'node-1' } });
    await lab.api.tell({ order: 'fill', services, endpoints: 2 });
    const started = performance.now();
    const agent = lab.start(...args);
    await quiet(lab, agent);
    process.stdout.write(
      `\n${name}: ${events} events\n\n| events | memory | files | children | zombies | CPU so far |\n|---|---|---|---|---|---|\n`,
    );
    const quarters: Holdings[] = [];
    for (let quarter = 0; quarter <= 4; quarter++) {
      if (quarter > 0) await pass(lab, ((quarter - 1) * events) / 4, (quarter * events) / 4);
      await quiet(lab, agent);
      const holdings = await holdingsOf(agent.pid);
      if (quarter > 0) quarters.push(holdings);
      const { memoryMiB, files, children, zombies } = holdings;
      process.stdout.write(
        `| ${quarter}/4 | ${memoryMiB.toFixed(0)} MiB | ${files} | ${children} | ${zombies} | ${cpuSeconds(agent.pid).toFixed(0)} s |\n`,
      );
    }
    const isFlat = areFlat(quarters);
    const minutes = (performance.now() - started) / 60_000;
    const syncs = agent.log().split('"rules synced"').length - 1;
    process.stdout.write(
      `\n${isFlat ? 'flat' : '**not flat**'}; ${syncs} syncs that wrote, in ${minutes.toFixed(1)} minutes\n`,
    );
    return isFlat;
  } finally {
    await lab.remove();
  }
}

async function pass(lab: AgentLab, from: number, to: number): Promise<void> {
  for (let event = from; event < to; event += batchSize) {
    for (let each = event; each < event + batchSize; each++) await happen(lab, each);
    await pause(pauseMs);
  }
}

/** Mostly endpoints that come and go; now and then a Service, a watch that breaks, or somebody who changes our rules. */
async function happen(lab: AgentLab, event: number): Promise<void> {
  const index = (event * 7) % services;
  const service = `svc-${index}`;
  const clusterIP = `10.96.${(index + 1) >> 8}.${(index + 1) & 255}`;
  if (event % 2_000 === 1_999) await lab.api.tell({ order: 'forgetHistory' });
  if (event % 500 === 499) await lab.api.tell({ order: 'cutWatches' });
  if (event % 250 === 249) await vandalise(lab);
  if (event % 20 === 0) await lab.api.tell({ order: 'delete', kind: 'Service', name: service });
  else if (event % 20 === 1) await lab.api.tell({ order: 'delete', kind: 'EndpointSlice', name: `${service}-x` });
  else if (event % 4 === 2) {
    const protocol = event % 8 === 2 ? 'UDP' : 'TCP';
    const ports = [{ name: 'http', protocol, port: 80, targetPort: 8080 }];
    const sessionAffinity = event % 3 === 0 ? 'ClientIP' : 'None';
    await lab.api.set(apiService(service, { clusterIP, clusterIPs: [clusterIP], ports, sessionAffinity }));
  } else {
    const addresses = Array.from({ length: event % 6 }, (_, n) => `10.90.${(event >> 8) & 255}.${(event + n) & 255}`);
    await lab.api.set(apiSlice(`${service}-x`, service, addresses));
  }
}

async function vandalise(lab: AgentLab): Promise<void> {
  await lab.namespace.exec('iptables-nft', '-t', 'nat', '-F', 'KUBE-SERVICES');
  await lab.namespace.exec('nft', 'flush', 'set', 'ip', 'kube-proxy', 'cluster-ips');
}

/** Everything is as desired, and what work left behind was given back. */
async function quiet(lab: AgentLab, agent: AgentProcess): Promise<void> {
  const isReady = async () => (await lab.api.get('http://127.0.0.1:10256/readyz')).status === 200;
  await eventually('ready', isReady, agent.log, 120_000);
  await pause(12_000);
  await eventually('ready', isReady, agent.log, 120_000);
}

/** The least of several looks: now and then it reads the rules, with a tool and its pipes. */
async function holdingsOf(pid: number): Promise<Holdings> {
  const looks: Holdings[] = [];
  for (let look = 0; look < 10; look++) {
    const states = childStates(pid);
    const zombies = states.filter((state) => state === 'Z').length;
    looks.push({ memoryMiB: residentMiB(pid), files: openFiles(pid), children: states.length, zombies });
    await pause(300);
  }
  const least = (of: (look: Holdings) => number) => Math.min(...looks.map(of));
  return {
    memoryMiB: least(({ memoryMiB }) => memoryMiB),
    files: least(({ files }) => files),
    children: least(({ children }) => children),
    zombies: least(({ zombies }) => zombies),
  };
}

/** Compared with the first quarter, after which all has happened once. */
function areFlat([first, ...rest]: readonly Holdings[]): boolean {
  return rest.every(
    ({ memoryMiB, files, children, zombies }) =>
      first !== undefined &&
      memoryMiB - first.memoryMiB < flatMiB &&
      files - first.files <= flatFiles &&
      children <= first.children &&
      zombies === 0,
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
