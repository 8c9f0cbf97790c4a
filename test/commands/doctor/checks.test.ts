import { expect } from 'chai';
import type { Config } from '../../../src/config/config.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { checkFirewalls } from '../../../src/commands/doctor/firewalls.ts';
import type { Finding, Sight } from '../../../src/commands/doctor/finding.ts';
import { readHoldings } from '../../../src/commands/doctor/holdings.ts';
import { checkRights } from '../../../src/commands/doctor/host.ts';
import { checkHolders } from '../../../src/commands/doctor/rules.ts';
import {
  checkBridges,
  checkConntrack,
  checkForwarding,
  checkPortRanges,
  checkReversePath,
  checkRouteLocalnet,
} from '../../../src/commands/doctor/sysctls.ts';
import { doctorText } from '../../../src/commands/doctor/text.ts';
import { checkTools, checkVersions } from '../../../src/commands/doctor/tools.ts';
import type { RunResult } from '../../../src/kernel/run.ts';

interface Host {
  readonly mode?: Config['mode'];
  readonly files?: Readonly<Record<string, string>>;
  /** What a command prints, by its words; a number is the exit code of one that fails. */
  readonly commands?: Readonly<Record<string, string | number>>;
  readonly processes?: readonly string[];
  readonly flags?: Readonly<Record<string, unknown>>;
}

async function sightOf({
  mode = 'iptables',
  files = {},
  commands = {},
  processes = [],
  flags = {},
}: Host): Promise<Sight> {
  const { config } = await parseConfig({ proxyMode: mode, ...flags }, () => '');
  const texts = new Map(Object.entries(files));
  const answers = new Map(Object.entries(commands));
  return {
    config,
    env: {},
    processes: processes.map((name, at) => ({ pid: at + 100, name, words: [name] })),
    files: {
      read: (path) => Promise.resolve(texts.get(path)),
      write: (path) => Promise.reject(new Error(`${path}: doctor must change nothing`)),
    },
    directory: { path: '/nowhere', ensure: refuse, write: refuse, link: refuse },
    run: (tool, args) => {
      const answer = answers.get([tool, ...args].join(' '));
      const exitCode = typeof answer === 'number' ? answer : 0;
      const isMissing = answer === undefined;
      const result: RunResult = {
        argv: [tool, ...args],
        stdout: typeof answer === 'string' ? answer : '',
        stderr: isMissing ? `${tool}: not installed` : exitCode === 0 ? '' : 'not permitted',
        durationMs: 0,
        isMissing,
        isTimedOut: false,
        isTruncated: false,
        ...(isMissing ? {} : { exitCode }),
      };
      return Promise.resolve(result);
    },
  };
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('nothing is to be written'));
}

function levels(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ code, level }) => `${code} ${level}`);
}

function sysctl(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`/proc/sys/${name.replaceAll('.', '/')}`, `${value}\n`]),
  );
}

const links = (...names: string[]) => JSON.stringify(names.map((ifname) => ({ ifname })));
const proxyRules = '*nat\n:KUBE-SERVICES - [0:0]\n-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n';
const chainsOf = (...chains: readonly object[]) => JSON.stringify({ nftables: chains.map((chain) => ({ chain })) });
const noChains = { 'nft -j list chains': chainsOf() };

describe('doctor on settings of the kernel', () => {
  const cases: readonly {
    title: string;
    check: (sight: Sight) => Promise<readonly Finding[]>;
    host: Host;
    expected: readonly string[];
  }[] = [
    {
      title: 'IPv4 is not forwarded',
      check: checkForwarding,
      host: { files: sysctl({ 'net.ipv4.ip_forward': '0', 'net.ipv6.conf.all.forwarding': '1' }) },
      expected: ['ip-forward problem', 'ipv6-forward ok'],
    },
    {
      title: 'both families are forwarded',
      check: checkForwarding,
      host: { files: sysctl({ 'net.ipv4.ip_forward': '1', 'net.ipv6.conf.all.forwarding': '1' }) },
      expected: ['ip-forward ok', 'ipv6-forward ok'],
    },
    {
      title: 'only one family counts',
      check: checkForwarding,
      host: { flags: { ipFamily: 'IPv4' }, files: sysctl({ 'net.ipv4.ip_forward': '1' }) },
      expected: ['ip-forward ok'],
    },
    {
      title: 'the reverse path check is strict everywhere',
      check: checkReversePath,
      host: {
        commands: { 'ip -j link show': links('lo', 'eth0') },
        files: sysctl({ 'net.ipv4.conf.all.rp_filter': '1', 'net.ipv4.conf.eth0.rp_filter': '0' }),
      },
      expected: ['rp-filter warning'],
    },
    {
      title: 'the reverse path check is loose, which wins over strict',
      check: checkReversePath,
      host: {
        commands: { 'ip -j link show': links('eth0') },
        files: sysctl({ 'net.ipv4.conf.all.rp_filter': '2', 'net.ipv4.conf.eth0.rp_filter': '1' }),
      },
      expected: ['rp-filter ok'],
    },
    {
      title: 'there is a bridge without br_netfilter',
      check: checkBridges,
      host: { commands: { 'ip -j link show type bridge': links('cni0') }, flags: { ipFamily: 'IPv4' } },
      expected: ['bridge-nf-call warning'],
    },
    {
      title: 'there is a bridge with it',
      check: checkBridges,
      host: {
        commands: { 'ip -j link show type bridge': links('cni0') },
        flags: { ipFamily: 'IPv4' },
        files: { '/proc/sys/net/bridge/bridge-nf-call-iptables': '1\n' },
      },
      expected: ['bridge-nf-call ok'],
    },
    {
      title: 'there is no bridge',
      check: checkBridges,
      host: { commands: { 'ip -j link show type bridge': '' } },
      expected: ['bridge-nf-call ok'],
    },
    ...[
      { count: '10', level: 'ok' },
      { count: '80', level: 'warning' },
      { count: '99', level: 'problem' },
    ].map(({ count, level }) => ({
      title: `${count} of 100 connections are tracked`,
      check: checkConntrack,
      host: { files: sysctl({ 'net.netfilter.nf_conntrack_max': '100', 'net.netfilter.nf_conntrack_count': count }) },
      expected: [`conntrack ${level}`, 'conntrack-liberal ok'],
    })),
    { title: 'conntrack is not loaded', check: checkConntrack, host: {}, expected: ['conntrack warning'] },
    {
      title: 'outgoing connections get node ports',
      check: checkPortRanges,
      host: { files: sysctl({ 'net.ipv4.ip_local_port_range': '1024\t60999' }) },
      expected: ['ephemeral-range problem'],
    },
    {
      title: 'node ports are reserved',
      check: checkPortRanges,
      host: {
        files: sysctl({
          'net.ipv4.ip_local_port_range': '1024\t60999',
          'net.ipv4.ip_local_reserved_ports': '30000-32767',
        }),
      },
      expected: ['ephemeral-range ok'],
    },
  ];
  for (const { title, check, host, expected } of cases) {
    it(`says ${expected.map((one) => one.split(' ')[1]).join(', ')} when ${title}`, async () => {
      expect(levels(await check(await sightOf(host)))).to.deep.equal(expected);
    });
  }

  const guard =
    '-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -j DROP';
  for (const { value, rules, expected } of [
    { value: '0', rules: '', expected: 'ok' },
    { value: '1', rules: guard, expected: 'ok' },
    { value: '1', rules: '', expected: 'problem' },
  ]) {
    it(`says ${expected} of route_localnet ${value} ${rules === '' ? 'without' : 'with'} the rule that guards localhost`, async () => {
      const sight = await sightOf({
        files: sysctl({ 'net.ipv4.conf.all.route_localnet': value }),
        commands: { ...noChains, 'iptables-nft-save': rules, 'ip6tables-nft-save': '' },
      });
      expect(levels(await checkRouteLocalnet(sight, await readHoldings(sight)))).to.deep.equal([
        `route-localnet ${expected}`,
      ]);
    });
  }
});

describe('doctor on who holds rules', () => {
  const findings = async (host: Host) => {
    const sight = await sightOf(host);
    const found = await checkHolders(sight, await readHoldings(sight));
    return levels(found.filter(({ level }) => level !== 'ok'));
  };
  const legacy = { '/proc/net/ip_tables_names': 'nat\n' };
  const nothing = { ...noChains, 'iptables-nft-save': '', 'ip6tables-nft-save': '' };
  const proxyTable = { 'nft -j list chains': chainsOf({ family: 'ip', table: 'kube-proxy', name: 'services' }) };

  const cases: readonly { title: string; host: Host; expected: readonly string[] }[] = [
    { title: 'nobody does', host: { commands: nothing }, expected: [] },
    { title: 'one variant does', host: { commands: { ...nothing, 'iptables-nft-save': proxyRules } }, expected: [] },
    {
      title: 'both variants do',
      host: {
        files: legacy,
        commands: { ...nothing, 'iptables-nft-save': proxyRules, 'iptables-legacy-save': proxyRules },
      },
      expected: ['iptables-variants problem'],
    },
    {
      title: 'only the kubelet does, in the other variant',
      host: {
        files: legacy,
        commands: {
          ...nothing,
          'iptables-nft-save': '*mangle\n:KUBE-IPTABLES-HINT - [0:0]\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n',
          'iptables-legacy-save': proxyRules,
        },
      },
      expected: [],
    },
    {
      title: 'both modes do',
      host: { commands: { ...nothing, ...proxyTable, 'iptables-nft-save': proxyRules } },
      expected: ['proxy-mode problem'],
    },
    {
      title: 'the mode that was not asked for does',
      host: { commands: { ...nothing, ...proxyTable } },
      expected: ['proxy-mode warning'],
    },
    {
      title: 'the mode that was asked for does',
      host: { mode: 'nftables', commands: { ...nothing, ...proxyTable } },
      expected: [],
    },
    {
      title: 'ipvs left its interface',
      host: { commands: nothing, files: { '/proc/net/dev': 'Inter-|\n kube-ipvs0: 0 0\n' } },
      expected: ['ipvs problem'],
    },
    {
      title: 'another proxy runs',
      host: { commands: nothing, processes: ['kube-proxy'] },
      expected: ['other-proxy warning'],
    },
    {
      title: 'nothing may be read',
      host: { commands: { 'iptables-nft-save': 4, 'ip6tables-nft-save': 4, 'nft -j list chains': 1 } },
      expected: ['iptables-variants warning', 'iptables-variants warning', 'proxy-mode warning'],
    },
  ];
  for (const { title, host, expected } of cases) {
    it(`says ${expected.join(', ') || 'nothing bad'} when ${title}`, async () => {
      expect(await findings(host)).to.deep.equal(expected);
    });
  }
});

describe('doctor on firewalls', () => {
  const filter = (...lines: string[]) => `*filter\n${lines.join('\n')}\nCOMMIT\n`;
  const base = {
    family: 'inet',
    table: 'mine',
    name: 'fwd',
    type: 'filter',
    hook: 'forward',
    prio: 0,
    policy: 'accept',
  };

  const cases: readonly {
    title: string;
    rules?: string;
    chains?: readonly object[];
    processes?: readonly string[];
    expected: readonly string[];
  }[] = [
    { title: 'everything is accepted', expected: ['firewall ok'] },
    { title: 'FORWARD drops', rules: filter(':FORWARD DROP [0:0]'), expected: ['forward-policy problem'] },
    {
      title: 'FORWARD drops, and only rules of a proxy accept',
      rules: filter(
        ':FORWARD DROP [0:0]',
        '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
      ),
      expected: ['forward-policy problem'],
    },
    {
      title: 'FORWARD drops, and another rule lets pods pass',
      rules: filter(':FORWARD DROP [0:0]', '-A FORWARD -s 10.244.0.0/16 -j ACCEPT'),
      expected: ['forward-policy warning'],
    },
    {
      title: 'FORWARD ends by refusing',
      rules: filter(':FORWARD ACCEPT [0:0]', '-A FORWARD -j REJECT --reject-with icmp-host-prohibited'),
      expected: ['forward-policy problem'],
    },
    { title: 'INPUT drops', rules: filter(':INPUT DROP [0:0]'), expected: ['input-policy warning'] },
    { title: 'ufw is active', rules: filter(':ufw-before-forward - [0:0]'), expected: ['firewall ok', 'ufw warning'] },
    {
      title: 'a table of others drops forwarded packets',
      chains: [{ ...base, policy: 'drop' }],
      expected: ['nft-drop-policy problem'],
    },
    {
      title: 'a table of others drops packets to the host',
      chains: [{ ...base, hook: 'input', policy: 'drop' }],
      expected: ['nft-drop-policy warning'],
    },
    {
      title: 'a table of others translates before us',
      chains: [{ ...base, type: 'nat', hook: 'prerouting', prio: -150 }],
      expected: ['nft-earlier-chain warning'],
    },
    {
      title: 'a table of others translates after us',
      chains: [{ ...base, type: 'nat', hook: 'prerouting', prio: -90 }],
      expected: ['firewall ok'],
    },
    {
      title: 'firewalld has a table',
      chains: [{ ...base, table: 'firewalld' }],
      expected: ['firewall ok', 'firewalld warning'],
    },
    { title: 'firewalld runs', processes: ['firewalld'], expected: ['firewall ok', 'firewalld warning'] },
    {
      title: 'the tables are those of iptables',
      chains: [{ ...base, family: 'ip', table: 'filter', policy: 'drop' }],
      expected: ['firewall ok'],
    },
  ];
  for (const { title, rules = '', chains = [], processes = [], expected } of cases) {
    it(`says ${expected.join(', ')} when ${title}`, async () => {
      const sight = await sightOf({
        processes,
        commands: { 'nft -j list chains': chainsOf(...chains), 'iptables-nft-save': rules, 'ip6tables-nft-save': '' },
      });
      expect(levels(await checkFirewalls(sight, await readHoldings(sight)))).to.deep.equal(expected);
    });
  }

  it('names docker when it is docker', async () => {
    const rules = filter(':FORWARD DROP [0:0]', ':DOCKER-USER - [0:0]', '-A FORWARD -j DOCKER-USER');
    const sight = await sightOf({ commands: { ...noChains, 'iptables-nft-save': rules, 'ip6tables-nft-save': '' } });
    const [finding] = await checkFirewalls(sight, await readHoldings(sight));
    expect(finding?.what).to.contain('docker');
    expect(finding?.do).to.contain('DOCKER-USER');
  });
});

describe('doctor on tools and rights', () => {
  const versions = {
    'iptables --version': 'iptables v1.8.9 (nf_tables)\n',
    'ip6tables --version': 'ip6tables v1.8.9 (nf_tables)\n',
    'nft --version': 'nftables v1.0.6 (Lester Gooch #5)\n',
    'setpriv --version': 'setpriv from util-linux 2.38.1\n',
    'flock --version': 'flock from util-linux 2.38.1\n',
    'conntrack --version': 'conntrack v1.4.7\n',
    'ip -V': 'ip utility, iproute2-6.1.0\n',
    'unshare --version': 'unshare from util-linux 2.38.1\n',
    'nfacct version': 'nfacct v1.0.2\n',
  };
  const without = (command: string) =>
    Object.fromEntries(Object.entries(versions).filter(([name]) => name !== command));
  const bad = async (host: Host) =>
    levels((await checkTools(await sightOf(host))).filter(({ level }) => level !== 'ok'));

  const cases: readonly { title: string; host: Host; expected: readonly string[] }[] = [
    { title: 'all tools are there', host: { commands: versions }, expected: [] },
    {
      title: 'iptables is missing',
      host: { commands: without('iptables --version') },
      expected: ['tool-iptables problem'],
    },
    {
      title: 'iptables is missing in nftables mode',
      host: { mode: 'nftables', commands: without('iptables --version') },
      expected: ['tool-iptables warning'],
    },
    {
      title: 'nft is missing in nftables mode',
      host: { mode: 'nftables', commands: without('nft --version') },
      expected: ['tool-nft problem'],
    },
    {
      title: 'nft is too old',
      host: { mode: 'nftables', commands: { ...versions, 'nft --version': 'nftables v0.9.8 (E.D.S.)\n' } },
      expected: ['tool-nft problem'],
    },
    {
      title: 'conntrack is missing',
      host: { commands: without('conntrack --version') },
      expected: ['tool-conntrack warning'],
    },
    {
      title: 'flock crashes',
      host: { commands: { ...versions, 'flock --version': 127 } },
      expected: ['tool-flock problem'],
    },
  ];
  for (const { title, host, expected } of cases) {
    it(`says ${expected.join(', ') || 'nothing bad'} when ${title}`, async () => {
      expect(await bad(host)).to.deep.equal(expected);
    });
  }

  it('tells an old kernel and an old Node.js', async () => {
    const files = { '/proc/sys/kernel/osrelease': '5.4.0-42-generic\n' };
    expect(levels(await checkVersions(await sightOf({ mode: 'nftables', files }), 'v18.1.0'))).to.deep.equal([
      'node-version problem',
      'kernel-version problem',
    ]);
    expect(levels(await checkVersions(await sightOf({ files }), 'v20.20.2'))).to.deep.equal([
      'node-version ok',
      'kernel-version ok',
    ]);
  });

  for (const { capabilities, variant, expected } of [
    { capabilities: '0000000000000000', variant: 'nft', expected: 'warning' },
    { capabilities: '0000000000001000', variant: 'nft', expected: 'ok' },
    { capabilities: '0000000000001000', variant: 'legacy', expected: 'problem' },
    { capabilities: '000001ffffffffff', variant: 'legacy', expected: 'ok' },
  ] as const) {
    it(`says ${expected} of capabilities ${capabilities} and the ${variant} variant`, async () => {
      const files = {
        '/proc/self/status': `Name:\tnode\nUid:\t0\t0\t0\t0\nCapEff:\t${capabilities}\nNoNewPrivs:\t0\n`,
      };
      expect(levels(await checkRights(await sightOf({ files }), variant))).to.deep.equal([`rights ${expected}`]);
    });
  }
});

describe('the text of doctor', () => {
  const plain = { added: String, removed: String, heading: String, faint: String };

  it('puts problems first, with what to do, in at most 100 columns', () => {
    const text = doctorText(
      [
        { code: 'fine', level: 'ok', what: 'well', means: 'as it should be', do: 'nothing' },
        { code: 'bad', level: 'problem', what: 'word '.repeat(40).trim(), means: 'harm', do: 'mend it', show: 'look' },
      ],
      plain,
    );
    expect(text.split('\n').filter((line) => line.length > 100)).to.deep.equal([]);
    expect(text).to.match(/^PROBLEM bad: word/);
    expect(text).to.contain('  do:     mend it\n  see:    look\n\nok  fine  well\n\n1 problem, 0 warnings, 1 fine\n');
  });
});
