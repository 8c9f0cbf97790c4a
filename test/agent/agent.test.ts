import { expect } from 'chai';
import type { Node } from '../../src/source/objects.ts';
import { endpoint, port, service, slice, state } from '../support/state.ts';
import { agentParts } from './agent-parts.ts';

const node: Node = {
  metadata: { name: 'node-1' },
  spec: { podCIDRs: ['10.244.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '172.18.0.11' }] },
};
const web = (address = '10.244.0.5') => state([service()], [slice([endpoint(address)])], { node });

describe('agent/agent', () => {
  async function started(options: Parameters<typeof agentParts>[0] = {}) {
    const parts = await agentParts(options);
    parts.agent.start();
    parts.tellAddresses(['127.0.0.1', '172.18.0.11']);
    await parts.clock.advance(10);
    return parts;
  }

  it('writes nothing before the first complete lists, and is alive but not ready', async () => {
    const { kernel, clock, health, isReady } = await started();
    await clock.advance(120_000);
    expect(kernel.scripts).to.deep.equal([]);
    expect(health.report().isHealthy).to.equal(true);
    expect(isReady()).to.equal(false);
  });

  it('writes nothing before it knows the addresses of the host', async () => {
    const parts = await agentParts();
    parts.agent.start();
    parts.source.becomes(web());
    await parts.clock.advance(5_000);
    expect(parts.kernel.scripts).to.deep.equal([]);
    parts.tellAddresses(['172.18.0.11']);
    await parts.clock.advance(100);
    expect(parts.kernel.scripts.length).to.be.greaterThan(0);
  });

  it('is ready once the rules were found, settles once, and logs one line a sync', async () => {
    const { source, clock, isReady, settled, lines, health } = await started();
    source.becomes(web());
    await clock.advance(100);
    expect(isReady()).to.equal(true);
    expect(health.report().isNodeEligible).to.equal(true);
    source.becomes(web('10.244.0.6'));
    await clock.advance(2_000);
    expect(settled).to.deep.equal(['IPv4']);
    const synced = lines.filter((line) => line.includes('rules synced'));
    expect(synced).to.have.length(2);
    expect(synced[1]).to.include('"services":"default/web"').and.to.include('"load"');
  });

  it('counts as pending what came while a sync was under way', async () => {
    const { source, clock, kernel, metrics } = await started();
    const pending = async () =>
      /^kubeproxy_sync_proxy_rules_endpoint_changes_pending (\d+)$/m.exec(await metrics.text())?.[1];
    source.becomes(web());
    await clock.advance(2_000);
    kernel.onCommit = () => {
      kernel.onCommit = () => undefined;
      source.becomes(web('10.244.0.7'), 1);
    };
    source.becomes(web('10.244.0.6'), 3);
    expect(await pending()).to.equal('3');
    await clock.advance(100);
    expect(await pending()).to.equal('1');
    await clock.advance(2_000);
    expect(await pending()).to.equal('0');
  });

  it('counts the rules that were written last, until others are', async () => {
    const { source, clock, metrics } = await started();
    const written = async () =>
      Number(/^kubeproxy_sync_proxy_rules_iptables_last\{.*table="nat"\} (\d+)$/m.exec(await metrics.text())?.[1]);
    source.becomes(web());
    await clock.advance(20_000);
    const first = await written();
    source.becomes(web('10.244.0.6'));
    await clock.advance(20_000);
    expect(await written())
      .to.be.greaterThan(0)
      .and.lessThan(first);
  });

  it('has nothing pending in a dry run that has told what it would do', async () => {
    const { source, clock, metrics } = await started({ isDryRun: true });
    source.becomes(web(), 3);
    await clock.advance(100);
    expect(await metrics.text()).to.include('kubeproxy_sync_proxy_rules_endpoint_changes_pending 0');
  });

  it('does not take its own commits for those of others', async () => {
    const { source, clock, kernel, monitor } = await started();
    source.becomes(web());
    await clock.advance(100);
    const { lists } = kernel;
    const changes = ['delete rule ip nat KUBE-SERVICES handle 4'];
    const commit = { generation: 3, pid: 5, processName: 'portwright-0000', changes, changeCount: 1 };
    monitor()?.onCommit(commit);
    await clock.advance(3_000);
    expect(kernel.lists).to.equal(lists);
    monitor()?.onCommit({ ...commit, processName: 'iptables' });
    await clock.advance(100);
    expect(kernel.lists).to.equal(lists + 1);
  });

  it('tells a warning once, in the log and as an Event, and shows it under /services', async () => {
    const { source, clock, lines, events, agent } = await started();
    const bad = state([service({ externalIPs: ['nonsense'] })], [slice([endpoint('10.244.0.5')])], { node });
    source.becomes(bad);
    await clock.advance(100);
    for (let round = 0; round < 5; round++) {
      source.becomes({ ...bad, slices: new Map(bad.slices) });
      await clock.advance(2_000);
    }
    expect(lines.filter((line) => line.includes('an object needs a look'))).to.have.length(1);
    expect(events.filter(({ type }) => type === 'Warning')).to.have.length(1);
    expect(events[0]!.regarding).to.include({ kind: 'Service', namespace: 'default', name: 'web' });
    expect(agent.services()[0]!.warnings).to.have.length(1);
  });

  it('warns once of a program that listens on a node port, until one of the two goes', async () => {
    let readings = 0;
    const parts = await started({
      effects: {
        listeners: (isWanted) => {
          readings += 1;
          return Promise.resolve(parts.listeners.filter(isWanted));
        },
      },
    });
    const { source, clock, lines, events, agent, listeners } = parts;
    const nginx = { pid: 7, name: 'nginx' };
    for (const [address, port] of [['0.0.0.0', 30_080] as const, ['::', 30_080] as const, ['0.0.0.0', 22] as const])
      listeners.push({ protocol: 'TCP', address, port, process: nginx });
    const exposed = (address: string, nodePort?: number) =>
      state(
        [service({ type: 'NodePort', ports: [port({ name: 'a', port: 81 }), port(nodePort ? { nodePort } : {})] })],
        [slice([endpoint(address)])],
        { node },
      );
    const warnings = () => agent.services().flatMap((one) => one.warnings);
    source.becomes(exposed('10.244.0.5', 30_080));
    await clock.advance(1_000);
    for (let address = 6; address < 10; address++) {
      source.becomes(exposed(`10.244.0.${address}`, 30_080));
      await clock.advance(20_000);
    }
    expect(readings).to.equal(1);
    expect(warnings()).to.deep.equal([
      {
        object: 'Service default/web',
        field: 'spec.ports[1].nodePort',
        reason: 'HostListener',
        message:
          'nginx (pid 7) listens on 0.0.0.0:30080/TCP: connections to the node port go to the Service, and never reach it; move the program, or the Service, to another port',
      },
    ]);
    expect(lines.filter((line) => line.includes('nginx'))).to.have.length(1);
    expect(
      events.filter(({ reason }) => reason === 'HostListener').map(({ regarding }) => regarding.name),
    ).to.deep.equal(['web']);
    // The program ends; that is seen some time later.
    listeners.length = 0;
    await clock.advance(400_000);
    expect(warnings()).to.deep.equal([]);
    const after = readings;
    await clock.advance(4_000_000);
    expect(readings).to.equal(after);
    // The Service moves on.
    listeners.push({ protocol: 'TCP', address: '0.0.0.0', port: 30_081 });
    source.becomes(exposed('10.244.0.9', 30_081));
    await clock.advance(1_000);
    expect(warnings()).to.have.length(1);
    source.becomes(exposed('10.244.0.9'));
    await clock.advance(2_000);
    expect(warnings()).to.deep.equal([]);
    expect(readings).to.equal(after + 1);
  });

  it('says which Service the kernel refuses in log, Event and /services, and counts a failed write', async () => {
    const { source, clock, kernel, events, agent, lines, metrics } = await started();
    kernel.refuses = '10.244.0.66';
    source.becomes(web('10.244.0.66'));
    await clock.advance(100);
    expect(lines.join('\n')).to.include('the kernel refuses the rules of a Service');
    expect(events.map(({ reason }) => reason)).to.include('RulesRefused');
    expect(agent.services()[0]).to.include({ state: 'quarantined' });
    expect(agent.services()[0]).not.to.have.property('applied');
    const text = await metrics.text();
    expect(text).to.include('kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"} 1');
  });

  it('says who changed rules, in log and Event', async () => {
    const { source, clock, kernel, events, lines, monitor } = await started();
    source.becomes(web());
    await clock.advance(100);
    kernel.tamper('nat', '-F KUBE-SERVICES');
    const changes = ['delete rule ip nat KUBE-SERVICES handle 4'];
    monitor()?.onCommit({ generation: 3, pid: 4711, processName: 'iptables', changes, changeCount: 1 });
    await clock.advance(500);
    expect(lines.join('\n')).to.match(/changed by somebody else.*iptables \(process 4711\).*default\/web/);
    expect(events.find(({ reason }) => reason === 'RulesChanged')?.note).to.include('4711');
  });

  it('follows addresses of the host that node ports are served on', async () => {
    const { source, clock, kernel, tellAddresses } = await started({ flags: { nodeportAddresses: ['192.0.2.0/24'] } });
    const ports = [port({ nodePort: 30_080 })];
    source.becomes(state([service({ type: 'NodePort', ports })], [slice([endpoint('10.244.0.5')])], { node }));
    await clock.advance(100);
    expect(kernel.save()).not.to.include('192.0.2.7');
    tellAddresses(['127.0.0.1', '192.0.2.7']);
    await clock.advance(2_000);
    expect(kernel.save()).to.include('192.0.2.7');
  });

  it('follows the pod CIDRs of its Node without an end', async () => {
    const flags = { detectLocalMode: 'NodeCIDR' };
    const { source, clock, kernel, fatal } = await started({ flags });
    source.becomes(web());
    await clock.advance(100);
    expect(kernel.save()).to.include('! -s 10.244.0.0/24');
    source.becomes({ ...web(), node: { ...node, spec: { podCIDRs: ['10.250.0.0/24'] } } });
    await clock.advance(2_000);
    expect(kernel.save()).to.include('! -s 10.250.0.0/24').and.not.to.include('! -s 10.244.0.0/24');
    expect(fatal).to.deep.equal([]);
  });

  const losses: readonly { title: string; flags: Record<string, unknown>; without: Partial<Node>; rule: string }[] = [
    {
      title: 'pod CIDRs that rules go by',
      flags: { detectLocalMode: 'NodeCIDR' },
      without: { spec: {} },
      rule: '! -s 10.244.0.0/24',
    },
    {
      title: 'addresses that node ports are served on',
      flags: { nodeportAddresses: ['primary'] },
      without: { status: { addresses: [] } },
      rule: '-d 172.18.0.11/32',
    },
    {
      title: 'addresses of one family that node ports are served on',
      flags: { nodeportAddresses: ['primary'] },
      without: { status: { addresses: [{ type: 'InternalIP', address: 'fd00::11' }] } },
      rule: '-d 172.18.0.11/32',
    },
  ];
  for (const { title, flags, without, rule } of losses) {
    it(`keeps the ${title} when the Node loses them, says so once, and follows it when it has them again`, async () => {
      const { source, clock, kernel, lines } = await started({ flags });
      const ports = [port({ nodePort: 30_080 })];
      const services = [service({ type: 'NodePort', ports })];
      const at = (of: Node, address = '10.244.0.5') => state(services, [slice([endpoint(address)])], { node: of });
      source.becomes(at(node));
      await clock.advance(100);
      expect(kernel.save()).to.include(rule);
      // As a Node that registers anew, before others have filled it in.
      source.becomes(at({ ...node, ...without }));
      await clock.advance(2_000);
      source.becomes(at({ ...node, ...without }, '10.244.0.6'));
      await clock.advance(2_000);
      expect(kernel.save()).to.include(rule).and.include('10.244.0.6');
      expect(lines.filter((line) => line.includes('the Node lost'))).to.have.length(1);
      const back: Node = {
        ...node,
        spec: { podCIDRs: ['10.250.0.0/24'] },
        status: { addresses: [{ type: 'InternalIP', address: '172.18.0.12' }] },
      };
      source.becomes(at(back));
      await clock.advance(2_000);
      expect(kernel.save()).not.to.include(rule);
    });
  }

  it('waits five minutes for pod CIDRs that it needs, writes nothing meanwhile, then ends saying so', async () => {
    const { source, clock, kernel, fatal } = await started({ flags: { detectLocalMode: 'NodeCIDR' } });
    source.becomes({ ...web(), node: { metadata: { name: 'node-1' } } });
    await clock.advance(299_000);
    expect([kernel.scripts.length, fatal.length]).to.deep.equal([0, 0]);
    await clock.advance(2_000);
    expect(fatal[0]).to.include('podCIDRs');
  });

  it('waits half a minute for the addresses of the Node where node ports need them, then goes on', async () => {
    const { source, clock, kernel, fatal } = await started({ flags: { nodeportAddresses: ['primary'] } });
    source.becomes({ ...web(), node: { metadata: { name: 'node-1' } } });
    await clock.advance(29_000);
    expect(kernel.scripts.length).to.equal(0);
    await clock.advance(2_000);
    expect(kernel.scripts.length).to.be.greaterThan(0);
    expect(fatal).to.deep.equal([]);
  });

  it('says once what of the configuration is odd on this node, and goes on', async () => {
    const { source, clock, kernel, lines, fatal } = await started({ flags: { nodeportAddresses: ['fd00::/8'] } });
    source.becomes(web());
    await clock.advance(100);
    source.becomes(web('10.244.0.6'));
    await clock.advance(2_000);
    const odd = lines.filter((line) => line.includes('odd on this node'));
    expect(odd).to.have.length(2);
    expect(odd.join('\n')).to.include('nodePortAddresses has no CIDR of IPv4').and.to.include('clusterCIDR is not set');
    expect(kernel.save()).to.include('10.244.0.6');
    expect(fatal).to.deep.equal([]);
  });

  it('ends, saying so, where the configuration has no CIDR of the only family, and writes nothing', async () => {
    const { source, clock, kernel, fatal } = await started({ flags: { clusterCidr: 'fd00:10:244::/48' } });
    source.becomes(web());
    await clock.advance(2_000);
    expect(fatal).to.have.length(1);
    expect(fatal[0]).to.include('clusterCIDR has no CIDR of IPv4');
    expect(kernel.scripts).to.deep.equal([]);
  });

  it('removes UDP flows to an endpoint that is gone, beside the sync', async () => {
    const { source, clock, flows } = await started();
    const dns = (address: string) => {
      const ports = [port({ name: 'dns', protocol: 'UDP', port: 53 })];
      const one = slice([endpoint(address)], { ports: [{ name: 'dns', protocol: 'UDP', port: 53 }] });
      return state([service({ ports })], [one], { node });
    };
    const direction = { source: '10.244.0.9', destination: '10.96.0.10', sourcePort: 4000, destinationPort: 53 };
    const reply = { source: '10.244.0.5', destination: '10.244.0.9', sourcePort: 53, destinationPort: 4000 };
    flows.push({ family: 'IPv4', original: direction, reply });
    source.becomes(dns('10.244.0.5'));
    await clock.advance(3_000);
    expect(flows).to.have.length(1);
    source.becomes(dns('10.244.0.6'));
    await clock.advance(5_000);
    expect(flows).to.have.length(0);
  });

  it('says less and less often that UDP flows cannot be read', async () => {
    const conntrack = { listUdp: () => Promise.reject(new Error('not installed')), delete: () => Promise.resolve() };
    const { source, clock, lines } = await started({ effects: { conntrack } });
    source.becomes(web());
    await clock.advance(3_600_000);
    const said = lines.filter((line) => line.includes('UDP flows cannot be looked through'));
    expect(said).to.have.length.within(2, 20);
  });

  it('leaves the rules when it stops, and does nothing more', async () => {
    const { source, clock, kernel, agent } = await started();
    source.becomes(web());
    await clock.advance(100);
    const before = kernel.save();
    await agent.stop();
    source.becomes(web('10.244.0.6'));
    await clock.advance(10_000);
    expect(kernel.save()).to.equal(before);
  });

  it('sets nothing going when a sync ends while it stops', async () => {
    let listens: () => void = () => undefined;
    const listening = () => new Promise<void>((resolve) => (listens = resolve));
    const through = <T>(work: () => Promise<T>) => work();
    const startMonitor = () => ({ listening, deafTo: through, mustHear: through, stop: () => undefined });
    const { source, clock, kernel, agent, settled } = await started({ effects: { startMonitor } });
    source.becomes(web());
    await clock.advance(100);
    const stopped = agent.stop();
    listens();
    await stopped;
    expect(kernel.save()).to.include('10.244.0.5');
    expect(settled).to.deep.equal([]);
    expect(clock.pending).to.equal(0);
  });

  it('counts as eligible without a cluster', async () => {
    const { health } = await started({ isStandalone: true });
    expect(health.report().isNodeEligible).to.equal(true);
  });
});
