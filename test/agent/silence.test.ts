import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { residentMiB } from '../../bench/process-usage.ts';
import { createAgentLab, eventually } from '../support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../support/agent-lab.ts';
import { apiService, apiSlice } from '../support/cluster-lab.ts';

describe('the agent when somebody falls silent', function () {
  this.timeout(180_000);
  let lab: AgentLab;
  let agent: AgentProcess;
  let apiPort: string;

  const log = () => agent.log();
  const holds = (text: string) => async () => (await lab.rules()).includes(text);
  const reconnects = async (resource: string) => {
    const { body } = await lab.api.get('http://127.0.0.1:10249/metrics');
    const name = `portwright_api_reconnects_total{resource="${resource}",reason="broken"} `;
    return Number(
      body
        .split('\n')
        .find((line) => line.startsWith(name))
        ?.slice(name.length) ?? 0,
    );
  };

  before(async () => {
    lab = await createAgentLab('silence');
    apiPort = new URL(lab.api.url).port;
    await lab.api.set(
      { kind: 'Node', metadata: { name: 'node-1' } },
      apiService('web', { clusterIP: '10.96.255.10', clusterIPs: ['10.96.255.10'] }),
      apiSlice('web-1', 'web', ['10.0.0.5']),
    );
    await lab.api.tell({ order: 'fill', services: 200, endpoints: 2 });
    agent = lab.start('--iptables-variant', 'nft', '--ip-family', 'IPv4');
    await eventually('rules', holds('10.0.0.5'), log);
  });
  after(() => lab.remove());

  /** Packets with one of these ports at either end are lost, without a word to anybody. */
  const lose = (ports: readonly string[]) =>
    lab.namespace.shell(`nft -f - <<'END'
table inet lost {
  chain everything {
    type filter hook input priority -400; policy accept;
    tcp sport { ${ports.join(', ')} } drop
    tcp dport { ${ports.join(', ')} } drop
  }
}
END`);
  const find = () => lab.namespace.mustExec('nft', 'delete', 'table', 'inet', 'lost');

  it('notices within seconds that its connections to the API server are half open, and watches on by new ones', async () => {
    const sockets = await lab.namespace.mustExec('ss', '-tnH', 'state', 'established', `( dport = :${apiPort} )`);
    const ports = [...sockets.matchAll(/127\.0\.0\.1:(\d+)\s+127\.0\.0\.1:\d+/g)].map(([, port]) => port!);
    expect(ports.length).to.be.at.least(4);
    await lose(ports);
    await lab.api.set(apiSlice('web-1', 'web', ['10.0.0.6']));
    await eventually('the change', holds('10.0.0.6'), log, 60_000);
    await find();
    expect(await lab.rules()).not.to.include('10.0.0.5');
    expect(await reconnects('endpointslices')).to.equal(1);
  });

  it('keeps the rules while no packet gets through at all, and catches up soon after', async () => {
    const before = await lab.rules();
    await lose([apiPort]);
    await lab.api.set(apiSlice('web-1', 'web', ['10.0.0.7']));
    await eventually('trouble', () => log().split('cannot follow the API server').length > 8, log, 60_000);
    expect(await lab.rules()).to.equal(before);
    await find();
    await eventually('the change', holds('10.0.0.7'), log);
  });

  it('takes up any number of events while a tool does not come to its end, and keeps none of them', async () => {
    const lock = spawn('flock', ['-x', `${lab.directory}/run/lock`, 'sleep', '3600'], { detached: true });
    const storm = (events: number) => lab.api.tell({ order: 'storm', services: 200, endpoints: 20, events });
    try {
      await storm(10_000);
      const before = residentMiB(agent.pid);
      // More than 100 MB on the wire, of which the state is less than one.
      await storm(40_000);
      expect(residentMiB(agent.pid) - before).to.be.lessThan(80);
      await lab.api.set(apiSlice('web-1', 'web', ['10.0.0.8']));
      await eventually('who holds the lock', () => /cannot be written at present.*held by process/.test(log()), log);
      expect(await lab.rules()).to.include('10.0.0.7');
    } finally {
      if (lock.pid !== undefined) process.kill(-lock.pid, 'SIGKILL');
      await once(lock, 'exit');
    }
    const before = log().split('"rules synced"').length;
    const syncs = () => log().split('"rules synced"').length - before;
    await eventually('the last change', holds('10.0.0.8'), log);
    // Told once it is done, so a moment after the rules are there.
    await eventually('its report', () => syncs() > 0, log);
    expect(syncs()).to.be.at.most(3);
  });
});
