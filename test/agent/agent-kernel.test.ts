import { expect } from 'chai';
import { createAgentLab, eventually } from '../support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../support/agent-lab.ts';
import { apiService, apiSlice } from '../support/cluster-lab.ts';

const settings = [
  { name: 'iptables on nf_tables', args: ['--iptables-variant', 'nft'], save: ['iptables-nft-save'] },
  { name: 'iptables on legacy', args: ['--iptables-variant', 'legacy'], save: ['iptables-legacy-save'] },
  { name: 'nftables', args: ['--proxy-mode', 'nftables'], save: ['nft', '-s', 'list', 'table', 'ip', 'kube-proxy'] },
];

for (const { name, args, save } of settings) {
  describe(`the agent in ${name} mode, in a namespace`, function () {
    this.timeout(90_000);
    let lab: AgentLab;
    let agent: AgentProcess;

    const rules = async () => {
      const [tool = '', ...words] = save;
      const { stdout } = await lab.namespace.exec(tool, ...words);
      return stdout.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '');
    };
    const holds = (text: string) => async () => (await rules()).includes(text);
    const lacks = (text: string) => async () => !(await rules()).includes(text);
    const status = async (path: string, port = 10256) => lab.api.get(`http://127.0.0.1:${port}${path}`);
    const isReady = async () => (await status('/readyz')).status === 200;
    const log = () => agent.log();

    before(async () => {
      lab = await createAgentLab('agent');
      await lab.api.set(
        {
          kind: 'Node',
          metadata: { name: 'node-1' },
          status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] },
        },
        apiService('web', { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'] }),
        apiSlice('web-1', 'web', ['10.0.0.5']),
      );
    });
    after(() => lab.remove());

    it('makes the rules of a cluster, and says that it found them', async () => {
      agent = lab.start(...args);
      await eventually('rules of the endpoint', holds('10.0.0.5'), log);
      await eventually('ready', isReady, log);
      expect((await status('/healthz')).status).to.equal(200);
      const { services } = JSON.parse((await status('/services', 10249)).body) as { services: object[] };
      const [web] = services;
      expect(web).to.include({ namespace: 'default', name: 'web', family: 'IPv4', state: 'ok' });
      expect(web).to.include.keys('desired', 'applied', 'verified');
    });

    it('follows endpoints', async () => {
      await lab.api.set(apiSlice('web-1', 'web', ['10.0.0.6']));
      await eventually('the new endpoint', holds('10.0.0.6'), log);
      await eventually('the old one gone', lacks('10.0.0.5'), log);
    });

    it('counts what came, and its rules, as kube-proxy does', async () => {
      const values = async () => {
        const { body } = await status('/metrics', 10249);
        const found = [...body.matchAll(/^kubeproxy_sync_proxy_rules_(\S+) (\S+)$/gm)];
        return new Map(found.map(([, series = '', value = '']) => [series, value]));
      };
      await eventually('nothing waits', async () => (await values()).get('endpoint_changes_pending') === '0', log);
      const found = await values();
      expect(found.get('service_changes_pending')).to.equal('0');
      // One Service in two families; a slice that came and then changed.
      expect(found.get('service_changes_total')).to.equal('2');
      expect(found.get('endpoint_changes_total')).to.equal('2');
      if (name === 'nftables') return;
      expect(found.get('iptables_total{ip_family="IPv6",table="filter"}')).to.equal('3');
      expect(found.get('iptables_total{ip_family="IPv6",table="nat"}')).to.equal('5');
    });

    it('puts right what somebody else deletes, and names who', async () => {
      const before = await rules();
      if (name === 'nftables') await lab.namespace.mustExec('nft', 'delete', 'table', 'ip', 'kube-proxy');
      else await lab.namespace.mustExec(save[0]!.replace('-save', ''), '-t', 'nat', '-F');
      await eventually('repaired', async () => (await rules()) === before, log);
      await eventually('ready again', isReady, log);
      const by = name === 'nftables' ? 'nft (process' : name.includes('legacy') ? 'unknown' : 'iptables-nft (process';
      expect(log()).to.include('changed by somebody else').and.to.include(by);
      await eventually('an Event', async () => {
        const events = (await lab.api.tell({ order: 'events' })) as { reason: string }[];
        return events.some(({ reason }) => reason === 'RulesChanged');
      });
    });

    it('wakes up a table that somebody made anew asleep', async () => {
      if (name !== 'nftables') return;
      // The kernel keeps the comment that a table was made with.
      const inTable = async () => (await rules()).replace(/^\tcomment .*\n/m, '');
      const before = await inTable();
      await lab.namespace.mustExec('nft', 'delete table ip kube-proxy; add table ip kube-proxy { flags dormant; }');
      await eventually('repaired', async () => (await inTable()) === before, log);
      await eventually('ready again', isReady, log);
      expect(log().match(/changed by somebody else.*by="nft \(process/g)).to.have.lengthOf(2);
    });

    it('puts right what somebody deletes together with the packet counters that it names', async () => {
      if (name === 'nftables') return;
      const before = await rules();
      const counter = 'ct_state_invalid_dropped_pkts';
      expect(before).to.include(counter);
      // It would be quicker than we are.
      agent.kill('SIGSTOP');
      for (const tool of ['iptables', 'ip6tables']) {
        await lab.namespace.mustExec(save[0]!.replace('-save', '').replace('iptables', tool), '-F', 'KUBE-FORWARD');
      }
      await lab.namespace.mustExec('nfacct', 'flush');
      agent.kill('SIGCONT');
      await eventually('repaired', async () => (await rules()) === before, log, 40_000);
      expect(await lab.namespace.mustExec('nfacct', 'list')).to.include(counter);
    });

    it('keeps the rules when the API server goes away, and catches up', async () => {
      const before = await rules();
      await lab.api.tell({ order: 'goDown' });
      await lab.api.set(apiSlice('web-1', 'web', ['10.0.0.7']));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(await rules()).to.equal(before);
      await lab.api.tell({ order: 'comeBack' });
      await eventually('caught up', holds('10.0.0.7'), log);
      const { body } = await status('/metrics', 10249);
      expect(body).to.include('portwright_api_reconnects_total{resource="endpointslices",reason="broken"} 1\n');
    });

    it('lets a second agent wait', async () => {
      const second = lab.start(
        ...args,
        '--healthz-bind-address',
        '127.0.0.1:10266',
        '--metrics-bind-address',
        '127.0.0.1:10259',
      );
      await eventually(
        'the second says so',
        () => second.log().includes('another agent programs this node'),
        () => second.log(),
      );
      second.kill('SIGTERM');
      expect(await second.ended).to.equal(0);
    });

    it('ends soon when told to, with exit code 0, and leaves the rules', async () => {
      const before = await rules();
      const toldAt = performance.now();
      agent.kill('SIGTERM');
      expect(await agent.ended).to.equal(0);
      expect(performance.now() - toldAt).to.be.lessThan(4_000);
      expect(await rules()).to.equal(before);
    });

    it('writes nothing when it starts on correct rules', async () => {
      agent = lab.start(...args, '-v', '2');
      await eventually('ready', isReady, log);
      expect(log()).to.include('rules are as they should be').and.not.to.include('"rules synced"');
    });

    it('is not harmed by being killed at any time', async () => {
      for (let round = 0; round < 5; round++) {
        await lab.api.set(apiSlice('web-1', 'web', [`10.0.1.${round}`]));
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
        agent.kill('SIGKILL');
        await agent.ended;
        agent = lab.start(...args);
        await eventually('converged', holds(`10.0.1.${round}:8080`.replace(':8080', '')), log);
      }
      await eventually('ready', isReady, log);
    });

    it('removes what is gone', async () => {
      await lab.api.tell({ order: 'delete', kind: 'Service', name: 'web' });
      await eventually('no rule of the Service', lacks('10.96.0.10'), log);
      agent.kill('SIGTERM');
      expect(await agent.ended).to.equal(0);
    });
  });
}
