import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createAgentLab, eventually } from '../support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../support/agent-lab.ts';
import { apiService, apiSlice } from '../support/cluster-lab.ts';

describe('the agent when it can open no more files', function () {
  this.timeout(120_000);
  let lab: AgentLab;
  let agent: AgentProcess;
  const log = () => agent.log();
  const holds = (text: string) => async () => (await lab.rules()).includes(text);
  const isReady = async () => (await lab.api.get('http://127.0.0.1:10256/readyz')).status === 200;
  const limitFiles = (count: number) => {
    try {
      execFileSync('prlimit', ['--pid', String(agent.pid), `--nofile=${count}:`], { stdio: 'pipe' });
    } catch (cause) {
      throw new Error(`the agent cannot be limited to ${count} files, or has ended; it said:\n${log()}`, { cause });
    }
  };

  before(async () => {
    lab = await createAgentLab('files');
    await lab.api.set(
      { kind: 'Node', metadata: { name: 'node-1' } },
      apiService('web', { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'] }),
      apiSlice('web-1', 'web', ['10.0.0.5']),
    );
    agent = lab.start('--iptables-variant', 'nft', '--ip-family', 'IPv4');
    await eventually('ready', isReady, log);
  });
  after(() => lab.remove());

  it('lives on, leaves the rules and blames no Service, and catches up', async () => {
    const before = await lab.rules();
    for (const [index, count] of [22, 26, 28, 30].entries()) {
      limitFiles(count);
      await lab.api.set(apiSlice('web-1', 'web', [`10.0.1.${index}`]));
      await lab.api.tell({ order: 'cutWatches' });
      // Longer than an agent must be idle to give memory back.
      await sleep(index === 0 ? 6_000 : 2_000);
    }
    expect(await lab.rules()).to.equal(before);
    limitFiles(1_000);
    await eventually('the change', holds('10.0.1.3'), log, 60_000);
    await eventually('ready', isReady, log);
    expect(log())
      .to.match(/EMFILE/)
      .and.not.to.include('refuses the rules');
    agent.kill('SIGTERM');
    expect(await agent.ended).to.equal(0);
  });
});
