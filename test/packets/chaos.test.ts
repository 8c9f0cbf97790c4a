import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createAgentLab, eventually, writeQuickConfiguration } from '../support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../support/agent-lab.ts';
import { bundle } from '../support/bundle.ts';
import { apiService, apiSlice } from '../support/cluster-lab.ts';
import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { startTraffic } from '../support/traffic.ts';

const steps = 120;
const quietEvery = 40;
const pods = ['10.244.1.11', '10.244.1.12', '10.244.1.13'];
const others = 6;
const foreign = '-A PREROUTING -s 192.0.2.1/32 -j ACCEPT';

const settings = [
  { mode: 'iptables', variant: 'nft' },
  { mode: 'iptables', variant: 'legacy' },
  { mode: 'nftables', variant: 'nft' },
] as const;

/** The same sequence each time, as far as the machine is the same, so that what fails can be run again. */
function series(seed: number): (below: number) => number {
  let value = seed;
  return (below) => {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0;
    return Math.floor((value / 2 ** 32) * below);
  };
}

for (const { mode, variant } of settings) {
  describe(`the agent in ${mode} mode (${variant}) among ${steps} random events and faults, with real packets`, function () {
    this.timeout(240_000);
    let lab: Lab;
    let node: AgentLab;
    let agent: AgentProcess;
    let args: readonly string[];
    let isOver = false;
    const next = series(7);

    before(async () => {
      lab = await createLab();
      await lab.listen(pods.map((address) => ({ protocol: 'tcp' as const, address, port: 8080 })));
      node = await createAgentLab(lab.node);
      // So that each step is likely to have a sync of its own.
      const config = writeQuickConfiguration(node, { mode, clusterCIDR: '10.244.0.0/16' });
      args = ['--config', config, '--iptables-variant', variant, '--ip-family', 'IPv4'];
      const ports = [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, nodePort: 30_100 }];
      await node.api.set(
        {
          kind: 'Node',
          metadata: { name: 'node-1' },
          status: { addresses: [{ type: 'InternalIP', address: '172.18.0.11' }] },
        },
        apiService('steady', { type: 'NodePort', clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports }),
        apiSlice('steady-1', 'steady', pods),
      );
      const tool = variant === 'legacy' ? 'iptables-legacy' : 'iptables-nft';
      await lab.node.mustExec(tool, '-t', 'nat', ...foreign.split(' '));
    });
    after(async () => {
      isOver = true;
      await node.remove();
      await lab.remove();
    });

    /** As whatever keeps a daemon running: an end is followed by a start. */
    const start = () => {
      const started = node.start(...args);
      agent = started;
      void started.ended.then(() => {
        if (!isOver) start();
      });
    };
    const isReady = async () => (await node.api.get('http://127.0.0.1:10256/readyz')).status === 200;
    const save = () => lab.node.exec(`iptables-${variant}-save`, '-t', 'nat');
    const differs = async () => {
      const { program } = await bundle();
      const words = [program, 'diff', ...args, '--hostname-override', 'node-1'];
      const { exitCode, stdout, stderr } = await lab.node.exec(process.execPath, ...words);
      return exitCode === 0 ? '' : stdout + stderr;
    };

    const change = async () => {
      const index = next(others);
      const name = `other-${index}`;
      const clusterIP = `10.96.1.${index + 1}`;
      const dice = next(10);
      if (dice === 0) await node.api.tell({ order: 'delete', kind: 'Service', name });
      else if (dice === 1) await node.api.tell({ order: 'delete', kind: 'EndpointSlice', name: `${name}-1` });
      else {
        const isNodePort = next(3) === 0;
        const port = { name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 };
        const ports = [isNodePort ? { ...port, nodePort: 31_000 + index } : port];
        const type = isNodePort ? 'NodePort' : 'ClusterIP';
        const sessionAffinity = next(4) === 0 ? 'ClientIP' : 'None';
        const endpoints = pods.filter(() => next(2) === 0);
        await node.api.set(
          apiService(name, { type, clusterIP, clusterIPs: [clusterIP], ports, sessionAffinity }),
          apiSlice(`${name}-1`, name, endpoints),
        );
      }
    };
    /** What somebody with root could do to rules of the others. */
    const vandalise = async () => {
      if (mode === 'nftables') {
        await lab.node.exec(
          'nft',
          'delete',
          'element',
          'ip',
          'kube-proxy',
          'cluster-ips',
          `{ 10.96.1.${next(others) + 1} }`,
        );
        await lab.node.exec('nft', 'add', 'chain', 'ip', 'kube-proxy', `vandal-${next(3)}`);
        return;
      }
      const { stdout } = await save();
      const chains = [...stdout.matchAll(/"default\/other-\d+:http cluster IP".* -j (KUBE-SVC-\w+)/g)];
      const [, chain] = chains[next(chains.length)] ?? [];
      if (chain !== undefined) await lab.node.exec(`iptables-${variant}`, '-t', 'nat', '-F', chain);
    };
    /** Ends a tool that the agent runs at the moment; the one that holds its claim on the node ends the agent. */
    const killTool = async () => {
      await sleep(next(60));
      const running = childrenOf(agent.pid);
      const pid = running[next(running.length)];
      if (pid !== undefined) endProcess(pid);
    };
    const holdLock = () => lab.node.shell(`flock -x "${lab.node.env['XTABLES_LOCKFILE'] ?? ''}" sleep 0.3`);
    const actions: readonly (() => Promise<unknown>)[] = [
      ...Array.from({ length: 10 }, () => change),
      ...Array.from({ length: 2 }, () => vandalise),
      killTool,
      killTool,
      holdLock,
      () => node.api.tell({ order: 'cutWatches' }),
      async () => {
        await node.api.tell({ order: 'forgetHistory' });
        await node.api.tell({ order: 'cutWatches' });
      },
      () => node.api.tell({ order: 'misbehave', what: { fault: { kind: 'status', code: 500 }, times: 2 } }),
      () => {
        agent.kill('SIGKILL');
        return agent.ended;
      },
    ];

    it('breaks no connection to a Service that nothing touches, old or new, and converges after every quiet spell', async () => {
      start();
      await eventually('ready', isReady, () => agent.log());
      const stop = await startTraffic(
        lab,
        [
          { protocol: 'tcp', source: '172.18.0.100', destination: '172.18.0.11', port: 30_100 },
          { protocol: 'tcp', source: '10.244.1.13', destination: '10.96.0.10', port: 80 },
        ],
        { concurrency: 2, pauseMs: 5, longLived: 3, timeoutMs: 5_000 },
      );
      for (let step = 1; step <= steps; step++) {
        await actions[next(actions.length)]?.();
        await sleep(next(100));
        if (step % quietEvery !== 0) continue;
        let found = '';
        const isAsDesired = async () => (await isReady()) && (found = await differs()) === '';
        await eventually(`as desired at step ${step}`, isAsDesired, () => found + agent.log(), 60_000);
      }
      const { attempts, failures, longLivedFailures, longLivedMessages, examples, reached } = await stop();
      expect({ failures, longLivedFailures, examples }).to.deep.equal({
        failures: 0,
        longLivedFailures: 0,
        examples: [],
      });
      expect(Object.keys(reached)).to.have.members(pods.map((address) => `${address}:8080`));
      expect(attempts).to.be.greaterThan(10 * steps);
      expect(longLivedMessages).to.be.greaterThan(10 * steps);
      expect((await save()).stdout).to.include(foreign);
    });
  });
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return []; // It has just ended.
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
