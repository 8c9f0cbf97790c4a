import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { createAgentLab, eventually } from '../../support/agent-lab.ts';
import type { AgentLab } from '../../support/agent-lab.ts';

const manifest = `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.5], conditions: {ready: true}}]
`;
const configuration = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';

describe('portwright run', function () {
  this.timeout(60_000);
  let lab: AgentLab;
  let manifests: string;

  beforeEach(async () => {
    lab = await createAgentLab('run');
    manifests = join(lab.directory, 'manifests');
    mkdirSync(manifests);
    writeFileSync(join(manifests, 'web.yaml'), manifest);
  });
  afterEach(() => lab.remove());

  it('keeps the rules of a directory, where this node counts as eligible', async () => {
    const agent = lab.start('-f', manifests, '--iptables-variant', 'nft');
    await eventually('the rules', async () => (await lab.rules()).includes('10.0.0.5'), agent.log);
    writeFileSync(join(manifests, 'web.yaml'), manifest.replace('10.0.0.5', '10.0.0.6'));
    await eventually('the change', async () => (await lab.rules()).includes('10.0.0.6'), agent.log);
    expect((await lab.api.get('http://127.0.0.1:10256/healthz')).status).to.equal(200);
  });

  it('prints in a dry run what it would change, of all families, as one JSON object a line, and writes nothing', async () => {
    const agent = lab.start('-f', manifests, '--dry-run', '-o', 'json', '--iptables-variant', 'nft');
    const lines = () => agent.output().split('\n').filter(Boolean);
    const found = (index: number) =>
      JSON.parse(lines()[index]!) as { families: { family: string; services: Readonly<Record<string, unknown>>[] }[] };
    await eventually('a line', () => lines().length > 0, agent.log);
    expect(found(0)).to.deep.include({ applied: false, differs: true });
    expect(found(0).families.map(({ family }) => family)).to.deep.equal(['IPv4', 'IPv6']);
    const [web] = found(0).families[0]!.services;
    expect(web).to.deep.include({ namespace: 'default', name: 'web', ports: ['http:80/TCP'] });
    // A commit of somebody else makes it look again, and what it would do is the same.
    await lab.namespace.mustExec('iptables-nft', '-t', 'nat', '-N', 'KUBE-MARK-MASQ');
    await lab.namespace.mustExec('iptables-nft', '-t', 'nat', '-X', 'KUBE-MARK-MASQ');
    writeFileSync(join(manifests, 'web.yaml'), manifest.replace('10.0.0.5', '10.0.0.6'));
    await eventually('the change', () => agent.output().includes('10.0.0.6'), agent.log);
    expect(lines().at(-1)).not.to.include('10.0.0.5:8080');
    expect(new Set(lines().map((line) => line.replace(/"durationMs":\d+/, ''))).size).to.equal(lines().length);
    expect(await lab.rules()).not.to.include('KUBE-SVC');
    agent.kill('SIGTERM');
    expect(await agent.ended).to.equal(0);
  });

  it('prints in a dry run the exact scripts', async () => {
    const agent = lab.start('-f', manifests, '--dry-run', '-o', 'script', '--iptables-variant', 'nft');
    await eventually('the script', () => agent.output().includes('10.0.0.5:8080'), agent.log);
    expect(agent.output()).to.include('# iptables-restore --noflush').and.to.include('COMMIT');
    expect(await lab.rules()).not.to.include('KUBE-');
  });

  it('ends with exit code 1 when its configuration file changes behind the links of a ConfigMap', async () => {
    const volume = join(lab.directory, 'volume');
    for (const [name, text] of [
      ['..1', configuration],
      ['..2', `${configuration}bindAddress: 127.0.0.1\n`],
    ] as const) {
      mkdirSync(join(volume, name), { recursive: true });
      writeFileSync(join(volume, name, 'config.conf'), text);
    }
    symlinkSync('..1', join(volume, '..data'));
    symlinkSync('..data/config.conf', join(volume, 'config.conf'));
    const agent = lab.start('-f', manifests, '--config', join(volume, 'config.conf'), '--iptables-variant', 'nft');
    await eventually('the rules', async () => (await lab.rules()).includes('10.0.0.5'), agent.log);
    symlinkSync('..2', join(volume, '..data_tmp'));
    renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
    expect(await agent.ended).to.equal(1);
    expect(agent.log()).to.include('configuration file').and.to.include('changed');
    expect(await lab.rules()).to.include('10.0.0.5');
  });

  it('ends when an address is taken and bindAddressHardFail is set, after an Event that says so', async () => {
    await lab.api.tell({ order: 'listen', address: '127.0.0.1', port: 10256, word: 'taken' });
    const agent = lab.start('--bind-address-hard-fail', '--healthz-bind-address', '127.0.0.1:10256');
    expect(await agent.ended, agent.log()).to.equal(1);
    const events = (await lab.api.tell({ order: 'events' })) as readonly Readonly<Record<string, unknown>>[];
    const found = events.find(({ reason }) => reason === 'FailedToStartProxierHealthcheck');
    expect(found).to.deep.include({ type: 'Warning', action: 'StartKubeProxy' });
    expect(found?.note).to.match(
      /^failed to start proxier healthz server: cannot listen on 127.0.0.1:10256: .*EADDRINUSE/,
    );
  });

  it('writes the effective configuration and ends', async () => {
    const path = join(lab.directory, 'written.yaml');
    const agent = lab.start('--write-config-to', path, '--proxy-mode', 'nftables');
    expect(await agent.ended).to.equal(0);
    expect(readFileSync(path, 'utf8')).to.include('kind: KubeProxyConfiguration').and.to.include('mode: nftables');
  });

  it('says what is odd about its configuration, and at -v 1 its flags, in the lines of its log', async () => {
    const config = join(lab.directory, 'odd.yaml');
    writeFileSync(config, 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmoed: x\n');
    const logging = ['--logging-format', 'json', '-v', '1', '--write-config-to', join(lab.directory, 'out.yaml')];
    const agent = lab.start('--config', config, '--cluster-cidr', '10.0.0.0/8', ...logging);
    expect(await agent.ended).to.equal(0);
    const lines = agent.log().trim().split('\n');
    const entries = lines
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { msg: string; reason?: string; flag?: string });
    const odd = entries.filter(({ msg }) => msg === 'the configuration is odd').map(({ reason }) => reason);
    expect(odd).to.have.lengthOf(2);
    expect(odd.join()).to.match(/moed: unknown field.*--cluster-cidr: ignored, because --config is given/);
    expect(entries.map(({ flag }) => flag))
      .to.include('cluster-cidr: 10.0.0.0/8')
      .and.include('oom-score-adj: -999');
    expect(lines.at(-1)).to.include('the configuration was written to');
  });

  describe('--init-only', () => {
    const localnet = async () =>
      (await lab.namespace.mustExec('cat', '/proc/sys/net/ipv4/conf/all/route_localnet')).trim();
    const initialise = async (...args: readonly string[]) => {
      const agent = lab.start('--init-only', ...args);
      expect(await agent.ended, agent.log()).to.equal(0);
    };

    for (const variant of ['nft', 'legacy'] as const) {
      const saved = async () => {
        const { stdout } = await lab.namespace.exec(`iptables-${variant}-save`, '-t', 'filter');
        return stdout.split('\n').filter((line) => line.startsWith('-A '));
      };
      const args = ['--iptables-variant', variant, '--conntrack-udp-timeout', '33s'];

      it(`sets what needs full privileges (${variant}): route_localnet once its guard stands, and no other rule`, async () => {
        await initialise(...args);
        const value = await lab.namespace.mustExec('cat', '/proc/sys/net/netfilter/nf_conntrack_udp_timeout');
        expect(value.trim()).to.equal('33');
        expect(await localnet()).to.equal('1');
        const rules = await saved();
        expect(rules).to.have.length(3);
        expect(rules).to.include.members(['-A INPUT -j KUBE-FIREWALL', '-A OUTPUT -j KUBE-FIREWALL']);
        expect(rules[2])
          .to.include('block incoming localnet connections')
          .and.to.match(/-j DROP$/);
        await initialise(...args);
        expect(await saved()).to.deep.equal(rules);
      });

      it(`leaves all other rules as they are (${variant}): the kubelet's, those of an agent, and somebody's`, async () => {
        const agent = lab.start('-f', manifests, '--iptables-variant', variant);
        const isThere = async () => (await saved()).some((rule) => rule.includes('KUBE-FIREWALL !'));
        await eventually('the rules', isThere, agent.log);
        agent.kill('SIGTERM');
        await agent.ended;
        const tool = `iptables-${variant}`;
        const guard = (await saved()).find((rule) => rule.includes('KUBE-FIREWALL !')) ?? '';
        await lab.namespace.shell(`
          ${tool} -A KUBE-FIREWALL -m mark --mark 0x8000 -j DROP
          ${tool} -I INPUT -s 192.0.2.1/32 -j ACCEPT
          ${tool} ${guard.replace('-A', '-D')}`);
        const before = await saved();
        await initialise(...args);
        const after = await saved();
        expect(after).to.include(guard);
        expect(after.filter((rule) => rule !== guard)).to.deep.equal(before);
      });
    }

    const unwanted = [
      ['--nodeport-addresses', 'primary'],
      ['--nodeport-addresses', '192.0.2.0/24'],
      ['--iptables-localhost-nodeports=false'],
      ['--proxy-mode', 'nftables'],
    ];
    for (const args of unwanted) {
      it(`leaves route_localnet alone where node ports do not answer on localhost: ${args.join(' ')}`, async () => {
        await initialise('--iptables-variant', 'nft', ...args);
        expect(await localnet()).to.equal('0');
        expect(await lab.rules()).not.to.include('KUBE-');
      });
    }
  });

  it('refuses a command line without a place for state, and with two', async () => {
    const two = lab.start('-f', manifests, '--master', 'http://127.0.0.1:1');
    expect(await two.ended).to.equal(2);
    expect(two.log()).to.include('the state can only come from one of them');
  });

  it('removes what the other mode left once its own rules stand', async () => {
    const first = lab.start('-f', manifests, '--iptables-variant', 'nft');
    await eventually('iptables rules', async () => (await lab.rules()).includes('10.0.0.5'), first.log);
    first.kill('SIGTERM');
    await first.ended;
    const second = lab.start('-f', manifests, '--iptables-variant', 'nft', '--proxy-mode', 'nftables');
    await eventually('iptables rules gone', async () => !(await lab.rules()).includes('KUBE-SVC'), second.log);
    const { stdout } = await lab.namespace.exec('nft', 'list', 'table', 'ip', 'kube-proxy');
    expect(stdout).to.include('10.0.0.5');
  });
});
