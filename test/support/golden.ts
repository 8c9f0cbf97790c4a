import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { Command } from 'commander';
import { attributeName, flags, normalizeArguments } from '../../src/config/flags.ts';
import { parseConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/config.ts';
import { modelOptions } from '../../src/config/node.ts';
import { planIptables } from '../../src/iptables/plan.ts';
import { desiredIptables, renderIptables } from '../../src/iptables/render.ts';
import { buildModel } from '../../src/model/build.ts';
import type { ProxyModel } from '../../src/model/model.ts';
import { planNftables } from '../../src/nftables/plan.ts';
import { desiredNftables, renderNftables } from '../../src/nftables/render.ts';
import { scriptText } from '../../src/ruleset/plan.ts';
import type { Plan } from '../../src/ruleset/plan.ts';
import { readManifests } from '../../src/source/manifests.ts';
import { formatProblem } from '../../src/source/problem.ts';

export const goldenDirectory = join(import.meta.dirname, '..', '..', 'golden');

/** The node every case is rendered for; `options.yaml` of a case adds words or takes the place of these. */
const node = [
  '--hostname-override=node-1',
  '--node-addresses=172.18.0.11,fd00:18::11,127.0.0.1,::1',
  '--cluster-cidr=10.244.0.0/16,fd00:10:244::/48',
];

/** Names of the cases, `transitions/NAME` for pairs. */
export function goldenCases(): string[] {
  const directories = (path: string) =>
    readdirSync(join(goldenDirectory, path), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  const single = directories('').filter((name) => name !== 'transitions');
  return [...single, ...directories('transitions').map((name) => `transitions/${name}`)].toSorted();
}

/** Every file that a case pins, by name. */
export async function goldenOutputs(name: string): Promise<ReadonlyMap<string, string>> {
  return name.startsWith('transitions/') ? transitionOutputs(name) : caseOutputs(name);
}

/** Files of a case that are written by hand. */
export function goldenInputs(name: string): string[] {
  const inputs = name.startsWith('transitions/') ? ['before.yaml', 'after.yaml'] : ['manifests.yaml'];
  return existsSync(join(goldenDirectory, name, 'options.yaml')) ? [...inputs, 'options.yaml'] : inputs;
}

async function caseOutputs(name: string): Promise<ReadonlyMap<string, string>> {
  const iptables = await read(name, 'manifests.yaml', 'iptables');
  const said = [...iptables.problems, ...iptables.warnings].join('\n');
  const outputs = new Map<string, string>();
  if (said !== '') outputs.set('said.txt', `${said}\n`);
  if (iptables.problems.length > 0) return outputs;
  const nftables = await read(name, 'manifests.yaml', 'nftables');
  for (const model of iptables.models) {
    outputs.set(`iptables-${suffix(model)}.rules`, renderIptables(model, { counters: iptables.config.nfacct }));
  }
  for (const model of nftables.models) outputs.set(`nftables-${suffix(model)}.nft`, renderNftables(model));
  return outputs;
}

/** Scripts of both modes between two states, one family: what is sent when so much changes. */
async function transitionOutputs(name: string): Promise<ReadonlyMap<string, string>> {
  const outputs = new Map<string, string>();
  for (const mode of ['iptables', 'nftables'] as const) {
    const before = await read(name, 'before.yaml', mode);
    const after = await read(name, 'after.yaml', mode);
    const [from, to] = [before.models[0], after.models[0]];
    if (from === undefined || to === undefined) throw new Error(`${name}: no model`);
    outputs.set(
      `${mode}-${suffix(to)}.script`,
      planText(mode === 'iptables' ? iptablesPlan(from, to) : nftablesPlan(from, to)),
    );
  }
  return outputs;
}

function iptablesPlan(from: ProxyModel, to: ProxyModel): Plan {
  const counters = { counters: false };
  return planIptables(desiredIptables(from, counters), desiredIptables(to, counters), {
    family: to.family,
    variant: 'nft',
  });
}

function nftablesPlan(from: ProxyModel, to: ProxyModel): Plan {
  return planNftables(desiredNftables(from), desiredNftables(to), to.family);
}

function planText(plan: Plan): string {
  if (plan.scripts.length === 0) return '# nothing is executed\n';
  return plan.scripts.map((script) => `# ${script.tool}, ${script.phase}\n${scriptText(script)}`).join('\n');
}

function suffix({ family }: ProxyModel): string {
  return family === 'IPv4' ? 'v4' : 'v6';
}

interface Read {
  readonly config: Config;
  readonly models: readonly ProxyModel[];
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

async function read(name: string, file: string, mode: Config['mode']): Promise<Read> {
  const config = await configOf(name, mode);
  const text = readFileSync(join(goldenDirectory, name, file), 'utf8');
  const { state, problems, warnings } = readManifests([{ file, text }], {
    namespace: config.namespace,
    serviceClusterIPRanges: config.serviceClusterIPRanges,
    nodePortRange: config.nodePortRange,
    nodeName: 'node-1',
  });
  const addresses = config.nodeAddresses ?? [];
  const host = { nodeName: 'node-1', addresses, ...(state.node === undefined ? {} : { node: state.node }) };
  const models = config.ipFamilies.map((family) => buildModel(state, modelOptions(config, host, family)));
  const all = [...warnings, ...models.flatMap((model) => model.warnings)];
  return {
    config,
    models,
    problems: problems.map(formatProblem),
    warnings: [...new Set(all.map(({ object, field, message }) => `warning: ${object}: ${field}: ${message}`))],
  };
}

async function configOf(name: string, mode: Config['mode']): Promise<Config> {
  const path = join(goldenDirectory, name, 'options.yaml');
  const words = existsSync(path) ? (load(readFileSync(path, 'utf8')) as string[]) : [];
  const command = new Command();
  for (const flag of flags) command.option(`--${flag.name} <value>`);
  command.parse(normalizeArguments([...node, `--proxy-mode=${mode}`, ...words]), { from: 'user' });
  const values = command.opts<Record<string, unknown>>();
  const known = new Set(flags.map((flag) => attributeName(flag.name)));
  const given = Object.fromEntries(Object.entries(values).filter(([key]) => known.has(key)));
  return (await parseConfig(given, () => '')).config;
}
