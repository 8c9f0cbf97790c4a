import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseConfig } from '../../config/config.ts';
import type { Config } from '../../config/config.ts';
import { hostAddresses, modelOptions, nodeName } from '../../config/node.ts';
import type { Host } from '../../config/node.ts';
import { buildModel } from '../../model/build.ts';
import type { ProxyModel } from '../../model/model.ts';
import type { ClusterState, Node } from '../../source/objects.ts';
import { formatProblem } from '../../source/problem.ts';
import type { Problem } from '../../source/problem.ts';
import type { Warning } from '../../source/warning.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { UsageError } from '../failure.ts';
import type { FoundState } from './found-state.ts';
import { placeOfState } from './place.ts';

/** All that a command which needs a state starts from. */
export interface Input {
  readonly config: Config;
  readonly state: ClusterState;
  /** One for each selected family, IPv4 first. */
  readonly models: readonly ProxyModel[];
  readonly host: Host;
  readonly warnings: readonly Warning[];
  /** Objects that were refused and left out; empty without `--keep-going`. */
  readonly problems: readonly Problem[];
}

/** Facts about the host, for commands that work on its kernel; the others take them from the manifests. */
export interface HostFacts {
  readonly addresses: () => Promise<readonly string[]>;
  /** `nf_conntrack_tcp_be_liberal` is set. */
  readonly tracksLiberally: () => Promise<boolean>;
}

/** The configuration, and its warnings said. Throws ConfigError. */
export async function readConfig(options: CommandOptions, effects: CommandEffects): Promise<Config> {
  const { config, warnings } = await loadConfig(options);
  for (const warning of warnings) effects.say(`warning: ${warning}`);
  return config;
}

/** The configuration, and what is odd about it. Throws ConfigError. */
export function loadConfig({ flags }: CommandOptions): ReturnType<typeof parseConfig> {
  return parseConfig(flags, (path) => readFileSync(path, 'utf8'));
}

/** What an input is read for. */
export interface InputUse {
  readonly config: Config;
  /** Given when the rules are for this host's kernel. */
  readonly facts?: HostFacts | undefined;
  /** For rules of another host: packets that its connection tracking calls INVALID are dropped, which is usual. */
  readonly dropsInvalid?: boolean;
}

/**
 * The state, from manifests or a cluster, and what it means for this node. Throws InputError with all problems at once
 * unless `--keep-going`.
 */
export async function readInput(
  options: CommandOptions,
  effects: CommandEffects,
  { config, facts, dropsInvalid = true }: InputUse,
): Promise<Input> {
  warnOfFlagsOfRun(config, effects);
  const { state, nodes, problems, warnings } = await readState(options, effects, config);
  const name = nodeName(config, nodes, hostname());
  const node = state.node ?? nodes.find(({ metadata }) => metadata.name === name);
  if (node === undefined && nodes.length > 0) effects.say(strangerNote(name, nodes));
  const interfaces = config.nodeAddresses === undefined ? await interfacesOf(node, facts) : [];
  const host: Host = {
    nodeName: name,
    ...(node === undefined ? {} : { node }),
    addresses: hostAddresses(config, {
      ...(node === undefined ? {} : { node }),
      interfaces: () => interfaces,
      target: facts === undefined ? 'text' : 'kernel',
    }),
    tracksLiberally: facts === undefined ? !dropsInvalid : await facts.tracksLiberally(),
  };
  const stateHere = node === undefined ? state : { ...state, node };
  const models = config.ipFamilies.map((family) => buildModel(stateHere, modelOptions(config, host, family)));
  const allWarnings = [...warnings, ...models.flatMap((model) => model.warnings)];
  sayWarnings(allWarnings, effects);
  return { config, state: stateHere, models, host, warnings: uniqueWarnings(allWarnings), problems };
}

/** Says which objects were left out; for the end of a command that kept going. */
export function sayProblems(problems: readonly Problem[], effects: CommandEffects): void {
  for (const problem of problems) effects.say(formatProblem(problem));
}

/** Addresses are then those of this host, and no endpoint is on it: hardly what was meant. */
function strangerNote(name: string, nodes: readonly Node[]): string {
  const names = nodes.slice(0, 5).map(({ metadata }) => metadata.name);
  const list = [...names, ...(nodes.length > names.length ? ['…'] : [])].join(', ');
  return `note: there is no Node ${name} among those given (${list}); --hostname-override NAME chooses one`;
}

/** kube-proxy's flags that make it do something else; here that is a command, or a matter of the agent. */
function warnOfFlagsOfRun({ writeConfigTo, cleanup, initOnly }: Config, effects: CommandEffects): void {
  const given = [
    ...(writeConfigTo === undefined ? [] : ['--write-config-to']),
    ...(cleanup ? ['--cleanup'] : []),
    ...(initOnly ? ['--init-only'] : []),
  ];
  if (given.length > 0) effects.say(`warning: ${given.join(', ')}: ignored, it is for portwright run`);
}

async function readState(options: CommandOptions, effects: CommandEffects, config: Config): Promise<FoundState> {
  const place = placeOfState(options, config, effects.env);
  if (place === 'manifests') {
    const { manifestState } = await import('./manifest-state.ts');
    return manifestState(options, effects, config);
  }
  if (place === undefined) {
    throw new UsageError(
      'no state: give manifests with -f PATH, or a cluster with --kubeconfig PATH or --master URL (inside a cluster neither is needed)',
    );
  }
  const { clusterState } = await import('./cluster-state.ts');
  return clusterState(config, effects);
}

async function interfacesOf(node: Node | undefined, facts: HostFacts | undefined): Promise<readonly string[]> {
  if (facts !== undefined) return facts.addresses();
  const isKnown = (node?.status?.addresses ?? []).length > 0;
  if (isKnown) return [];
  const { libraryAddresses } = await import('../../kernel/interfaces.ts');
  return libraryAddresses().map(({ address }) => address);
}

function sayWarnings(warnings: readonly Warning[], effects: CommandEffects): void {
  for (const { object, field, message } of uniqueWarnings(warnings)) {
    effects.say(`warning: ${object}: ${field === '' ? '' : `${field}: `}${message}`);
  }
}

/** Each warning once: both families find the same fault in what they share. */
export function uniqueWarnings(warnings: readonly Warning[]): readonly Warning[] {
  return [...new Map(warnings.map((warning) => [JSON.stringify(warning), warning])).values()];
}
