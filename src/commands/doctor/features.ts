import type { IpFamily, Variant } from '../../kernel/iptables-tools.ts';
import { iptablesProbeTool, nftProbeTool, tryProbes } from '../../kernel/probes.ts';
import type { Probe, ProbeOutcome, ProbeTool } from '../../kernel/probes.ts';
import { fine, unseen } from './finding.ts';
import type { Finding, Sight } from './finding.ts';
import { features, nftShapes } from './probes.ts';
import type { Feature, NftShape } from './probes.ts';

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
  const without = new Map(nftShapes.map((one) => [one.name, one.without]));
  const probes = nftShapes.map(nftProbeOf);
  return tried(sight, { code: 'features-nft', label: 'nft', tool: nftProbeTool, probes, without });
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
  const means = without.get(name) ?? '';
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

function nftProbeOf({ name, declares, hook, rule }: NftShape): Probe {
  const opening = `table ip portwright-${name.replaceAll(' ', '-')} {`;
  const chain = rule === undefined ? [] : ['chain c {', ...(hook === undefined ? [] : [hook]), rule, '}'];
  return {
    name,
    script: [opening, ...(declares === undefined ? [] : [declares]), ...chain, '}', ''].join('\n'),
    lines: [opening, ...(rule === undefined ? [] : [rule])],
  };
}
