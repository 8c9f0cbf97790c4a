import type { IpFamily, Variant } from '../kernel/iptables-tools.ts';
import { iptablesProbeTool, nftProbeTool, tryProbes } from '../kernel/probes.ts';
import type { Probe, ProbeOutcome, ProbeTool } from '../kernel/probes.ts';
import { fine, unseen } from './doctor-finding.ts';
import type { Finding, Sight } from './doctor-finding.ts';

/** A match or target that our rules use: the rule, in the words of iptables-save. */
interface Feature {
  readonly name: string;
  readonly table: 'nat' | 'filter';
  readonly rule: (family: IpFamily) => string;
  /** What is not served without it. */
  readonly without: string;
}

const inFamily = (ipv4: string, ipv6: string) => (family: IpFamily) => (family === 'IPv4' ? ipv4 : ipv6);
const everything = 'no Service is served as it should be';

const features: readonly Feature[] = [
  {
    name: 'comment',
    table: 'nat',
    rule: () => '-m comment --comment "default/web:http cluster IP" -j RETURN',
    without: everything,
  },
  {
    name: 'mark',
    table: 'nat',
    rule: () => '-m mark ! --mark 0x4000/0x4000 -j RETURN',
    without: 'packets are masqueraded, or dropped, that should not be',
  },
  { name: 'MARK', table: 'nat', rule: () => '-j MARK --set-xmark 0x4000/0x4000', without: everything },
  {
    name: 'MASQUERADE --random-fully',
    table: 'nat',
    rule: () => '-j MASQUERADE --random-fully',
    without: 'answers to clients outside do not come back through this node',
  },
  {
    name: 'DNAT',
    table: 'nat',
    rule: inFamily(
      '-p tcp -m tcp -j DNAT --to-destination 10.0.0.1:80',
      '-p tcp -m tcp -j DNAT --to-destination [fd00::1]:80',
    ),
    without: everything,
  },
  {
    name: 'statistic',
    table: 'nat',
    rule: () => '-m statistic --mode random --probability 0.50000000000 -j RETURN',
    without: 'all connections go to one endpoint',
  },
  {
    name: 'recent',
    table: 'nat',
    rule: inFamily(
      '-m recent --rcheck --seconds 10800 --reap --name PORTWRIGHT-PROBE --mask 255.255.255.255 --rsource -j RETURN',
      '-m recent --rcheck --seconds 10800 --reap --name PORTWRIGHT-PROBE --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource -j RETURN',
    ),
    without: 'Services with session affinity are not served',
  },
  {
    name: 'addrtype',
    table: 'nat',
    rule: () => '-m addrtype --dst-type LOCAL -j RETURN',
    without: 'node ports are not served',
  },
  { name: 'conntrack', table: 'filter', rule: () => '-m conntrack --ctstate NEW -j RETURN', without: everything },
  {
    name: 'REJECT',
    table: 'filter',
    rule: inFamily('-j REJECT --reject-with icmp-port-unreachable', '-j REJECT --reject-with icmp6-port-unreachable'),
    without: 'clients of a Service without endpoints wait instead of being told',
  },
  {
    name: 'nfacct',
    table: 'filter',
    rule: () => '-m nfacct --nfacct-name  portwright_probe -j DROP',
    without: 'dropped invalid packets are not counted',
  },
];

/** Without these a proxy still works. */
const optional = new Set(['nfacct', 'comment on elements']);

/** Loads a rule with each match and target we use into a scratch namespace, and reads it back. */
export async function checkIptablesFeatures(sight: Sight, variant: Variant): Promise<readonly Finding[]> {
  const findings = sight.config.ipFamilies.map((family) => {
    const label = `iptables (${variant === 'nft' ? 'nf_tables' : 'legacy'}) for ${family}`;
    const probes = features.map((feature, index) => probeOf(feature, index, family));
    const without = new Map(features.map((one) => [one.name, one.without]));
    const code = `features-iptables-${variant}-${family.toLowerCase()}`;
    return tried(sight, { code, label, tool: iptablesProbeTool(variant, family), probes, without });
  });
  return (await Promise.all(findings)).flat();
}

/** The same for the shapes of nftables mode. */
export async function checkNftFeatures(sight: Sight): Promise<readonly Finding[]> {
  const without = new Map(nftProbes.map(({ name }) => [name, nftUses.get(name) ?? everything]));
  return tried(sight, { code: 'features-nft', label: 'nft', tool: nftProbeTool, probes: nftProbes, without });
}

interface Trial {
  readonly code: string;
  readonly label: string;
  readonly tool: ProbeTool;
  readonly probes: readonly Probe[];
  readonly without: ReadonlyMap<string, string>;
}

async function tried(sight: Sight, { code, label, tool, probes, without }: Trial): Promise<readonly Finding[]> {
  let outcomes: readonly ProbeOutcome[];
  try {
    outcomes = await tryProbes(sight, tool, probes);
  } catch (error) {
    return [unseen(code, `what ${label} and the kernel can do together`, (error as Error).message)];
  }
  const bad = outcomes.filter(({ kind }) => kind !== 'kept');
  const good = outcomes.filter(({ kind }) => kind === 'kept').map(({ name }) => name);
  const kept = fine(
    code,
    `${label} keeps ${good.join(', ')}`,
    'written to a scratch namespace and read back unchanged',
  );
  return [...bad.map((outcome) => findingOf(outcome, { code, label, without })), ...(good.length === 0 ? [] : [kept])];
}

function findingOf(
  outcome: ProbeOutcome,
  { code, label, without }: Pick<Trial, 'code' | 'label' | 'without'>,
): Finding {
  const { name } = outcome;
  const means = without.get(name) ?? everything;
  const level = optional.has(name) ? 'warning' : 'problem';
  if (outcome.kind === 'refused') {
    const advice = 'load the kernel module it belongs to, or install the extension; the tool says which';
    return { code, level, what: `${label} refuses ${name}: ${outcome.words}`, means, do: advice };
  }
  const line = outcome.kind === 'changed' ? outcome.line : '';
  return {
    code,
    level,
    what: `${label} loses or rewrites ${name}: written was "${line}"`,
    means: `the rule in the kernel is not the one that was meant: ${means}`,
    do: 'use the version of the tool that the other programs of this host use',
  };
}

function probeOf({ name, table, rule }: Feature, index: number, family: IpFamily): Probe {
  const line = `-A PORTWRIGHT-${index} ${rule(family)}`;
  return { name, script: `*${table}\n:PORTWRIGHT-${index} - [0:0]\n${line}\nCOMMIT\n`, lines: [line] };
}

const nftUses = new Map([
  ['masquerade', 'answers to clients outside do not come back through this node'],
  ['dynamic set', 'Services with session affinity are not served'],
  ['fib', 'node ports are not served'],
  ['reject', 'clients of a Service without endpoints wait instead of being told'],
  ['interval set of concatenations', 'load balancer source ranges are not enforced'],
]);

const nftProbes: readonly Probe[] = [
  nftProbe(
    'choice by numgen in a map of concatenations',
    [
      'map endpoints { typeof ip daddr . meta l4proto . th dport . numgen random mod 65536 : ip daddr . th dport; }',
      'chain c {',
      'meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints',
      '}',
    ],
    2,
  ),
  nftProbe(
    'verdict map',
    [
      'map m { type ipv4_addr . inet_proto . inet_service : verdict; }',
      'chain c {',
      'ip daddr . meta l4proto . th dport vmap @m',
      '}',
    ],
    2,
  ),
  nftProbe('fib', ['chain c {', 'fib saddr type local meta mark set meta mark | 0x00004000', '}'], 1),
  nftProbe(
    'dynamic set',
    [
      'set s { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 3h; }',
      'chain c {',
      'update @s { ip saddr }',
      '}',
    ],
    2,
  ),
  nftProbe(
    'interval set of concatenations',
    [
      'set s { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; elements = { 10.0.0.0/8 . 10.0.0.1 . tcp . 80 }; }',
      'chain c {',
      'ip saddr . ip daddr . meta l4proto . th dport @s accept',
      '}',
    ],
    2,
  ),
  nftProbe('reject', ['chain c {', 'reject', '}'], 1),
  nftProbe(
    'masquerade',
    ['chain c {', 'type nat hook postrouting priority srcnat; policy accept;', 'masquerade fully-random', '}'],
    2,
  ),
  nftProbe('comment on elements', [
    'map m { type inet_proto . inet_service : verdict; elements = { tcp . 30080 comment "default/web:http" : drop }; }',
  ]),
];

/** `line`: which of the body must stand when the table is listed. */
function nftProbe(name: string, body: readonly string[], line?: number): Probe {
  const table = `portwright-${name.replaceAll(' ', '-')}`;
  const wanted = line === undefined ? undefined : body[line];
  return {
    name,
    script: `table ip ${table} {\n${body.join('\n')}\n}\n`,
    lines: [`table ip ${table} {`, ...(wanted === undefined ? [] : [wanted])],
  };
}
