import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { createAgentLab, eventually } from '../support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../support/agent-lab.ts';
import { bundle } from '../support/bundle.ts';
import { apiService, apiSlice } from '../support/cluster-lab.ts';

describe('the agent and signals', function () {
  this.timeout(60_000);
  let lab: AgentLab;
  let agent: AgentProcess;
  const isReady = async () => (await lab.api.get('http://127.0.0.1:10256/readyz')).status === 200;

  before(async () => {
    lab = await createAgentLab('signals');
    await lab.api.set(
      { kind: 'Node', metadata: { name: 'node-1' } },
      apiService('web', { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'] }),
      apiSlice('web-1', 'web', ['10.0.0.5']),
    );
  });
  beforeEach(async () => {
    agent = lab.start('--iptables-variant', 'nft', '--ip-family', 'IPv4');
    await eventually('ready', isReady, () => agent.log());
  });
  after(() => lab.remove());

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`ends in good order by ${signal}, and leaves the rules`, async () => {
      const before = await lab.rules();
      agent.kill(signal);
      expect(await agent.ended).to.equal(0);
      expect(agent.log()).to.include('told to end; the rules stay');
      expect(await lab.rules())
        .to.equal(before)
        .and.to.include('10.0.0.5');
    });
  }

  it('keeps the node when the process that holds its lock is ended by its name', async () => {
    const children = () => readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8').trim().split(' ');
    const keeper = children().find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n');
    process.kill(Number(keeper), 'SIGTERM');
    await eventually('the lock is taken again', () => agent.log().includes('is ours again'), agent.log);
    const other = lab.start('--iptables-variant', 'nft', '--ip-family', 'IPv4');
    await eventually('the other waits', () => other.log().includes('another agent programs this node'), other.log);
    other.kill('SIGTERM');
    expect(await other.ended).to.equal(0);
    agent.kill('SIGTERM');
    expect(await agent.ended).to.equal(0);
  });

  it('ends with 0 also when its log had no room', async () => {
    agent.kill('SIGTERM');
    await agent.ended;
    const { program } = await bundle();
    const words = ['run', '--kubeconfig', join(lab.directory, 'kubeconfig'), '--hostname-override', 'node-1'];
    const argv = [
      ...lab.namespace.prefix,
      'sh',
      '-c',
      'exec "$@" 2> /dev/full',
      'sh',
      process.execPath,
      program,
      ...words,
    ];
    const env = { ...process.env, ...lab.namespace.env, PORTWRIGHT_RUNTIME_DIR: join(lab.directory, 'run') };
    const [file = '', ...args] = argv;
    const mute = spawn(file, args, { env, stdio: 'ignore' });
    await eventually('ready', isReady);
    mute.kill('SIGTERM');
    expect(await once(mute, 'exit')).to.deep.equal([0, null]);
  });

  it('ends by SIGTERM also while a tool hangs that it needs to start', async () => {
    agent.kill('SIGTERM');
    await agent.ended;
    const bin = join(lab.directory, 'bin');
    mkdirSync(bin);
    const { PATH } = process.env;
    for (const tool of ['iptables-nft', 'nfacct', 'flock']) {
      writeFileSync(
        join(bin, tool),
        `#!/bin/sh\necho >${lab.directory}/begun\nsleep 20\necho >${lab.directory}/done\n`,
      );
      chmodSync(join(bin, tool), 0o755);
      process.env['PATH'] = `${bin}:${PATH ?? ''}`;
      agent = lab.start('--iptables-variant', 'nft', '--ip-family', 'IPv4');
      process.env['PATH'] = PATH;
      await eventually('the tool hangs', () => existsSync(join(lab.directory, 'begun')), agent.log);
      agent.kill('SIGTERM');
      expect(await agent.ended, tool).to.equal(0);
      expect(existsSync(join(lab.directory, 'done')), tool).to.equal(false);
      rmSync(join(lab.directory, 'begun'));
      rmSync(join(bin, tool));
    }
  });

  it('opens no debugger by SIGUSR1', async () => {
    agent.kill('SIGUSR1');
    await lab.api.set(apiSlice('web-1', 'web', ['10.0.0.6']));
    await eventually(
      'the change',
      async () => (await lab.rules()).includes('10.0.0.6'),
      () => agent.log(),
    );
    expect(await lab.namespace.mustExec('ss', '-tlnH')).not.to.include(':9229');
    expect(agent.log()).not.to.include('Debugger');
    agent.kill('SIGTERM');
    expect(await agent.ended).to.equal(0);
  });
});
