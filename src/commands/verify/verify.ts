import { modelOptions } from '../../config/node.ts';
import { ownFiles } from '../../kernel/files.ts';
import { createRun } from '../../kernel/run.ts';
import type { Run } from '../../kernel/run.ts';
import { createToolPaths } from '../../kernel/tool-paths.ts';
import { buildModel } from '../../model/build.ts';
import type { ProxyModel } from '../../model/model.ts';
import type { Program } from '../../ruleset/walk-program.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { desiredPrograms, livePrograms } from '../explain/programs.ts';
import { factsOfHost, surroundings } from '../explain/surroundings.ts';
import { readConfig, readInput, sayProblems } from '../input/input.ts';
import type { Input } from '../input/input.ts';
import { outputFormat, printValue } from '../output/format.ts';
import { differingPackets, withIntentions } from './compare.ts';
import { relevantPackets } from './packets.ts';
import { verificationData, verificationText } from './text.ts';
import type { Verification } from './text.ts';

/**
 * Proves by walking every relevant packet that both modes treat a state alike, or with `--live` that the kernel
 * does what the configured mode should. 0: alike, apart from what is documented; 1: not.
 */
export async function verify(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const format = outputFormat(options.output, ['text', 'json', 'yaml']);
  const isLive = options.own['live'] === true;
  const config = await readConfig(isLive ? options : inMode(options, 'iptables'), effects);
  const run = createRun({ paths: createToolPaths(effects.env['PATH']) });
  const input = await readInput(options, effects, { config, facts: isLive ? factsOfHost(run) : undefined });
  const result = isLive ? await againstKernel(input, run) : await betweenModes(input, options, effects);
  if (format === 'text') effects.print(verificationText(result));
  else await printValue(verificationData(result), format, effects);
  sayProblems(input.problems, effects);
  return result.differences.every(({ intended }) => intended !== undefined) ? 0 : 1;
}

function inMode(options: CommandOptions, mode: 'iptables' | 'nftables'): CommandOptions {
  return { ...options, flags: { ...options.flags, proxyMode: mode } };
}

/** The two modes read different parts of the configuration, so each has its own model of the one state. */
async function betweenModes(input: Input, options: CommandOptions, effects: CommandEffects): Promise<Verification> {
  // Said already when the configuration was read for the first mode.
  const silent = { ...effects, say: () => undefined };
  const config = await readConfig(inMode(options, 'nftables'), silent);
  const nftables = config.ipFamilies.map((family) => buildModel(input.state, modelOptions(config, input.host, family)));
  const rulesets = {
    left: desiredPrograms('iptables', input.models),
    right: desiredPrograms('nftables', nftables),
  };
  const compared = input.models.map((model, index) => {
    const { packets, differences } = compare(model, rulesets, input);
    return { packets, differences: withIntentions(differences, nftables[index] ?? model) };
  });
  return joined(compared, { left: 'iptables', right: 'nftables' });
}

async function againstKernel(input: Input, run: Run): Promise<Verification> {
  const { config, models } = input;
  const rulesets = {
    left: desiredPrograms(config.mode, models),
    right: await livePrograms({ run, files: ownFiles }, config.ipFamilies),
  };
  return joined(
    models.map((model) => compare(model, rulesets, input)),
    { left: 'desired', right: 'live' },
  );
}

function compare(
  model: ProxyModel,
  rulesets: { readonly left: readonly Program[]; readonly right: readonly Program[] },
  input: Input,
): Pick<Verification, 'packets' | 'differences'> {
  const facts = { ...surroundings(input.config, input), model, addresses: input.host.addresses };
  const packets = relevantPackets(facts);
  return { packets: packets.length, differences: differingPackets(packets, rulesets, facts) };
}

function joined(
  parts: readonly Pick<Verification, 'packets' | 'differences'>[],
  sides: Pick<Verification, 'left' | 'right'>,
): Verification {
  return {
    ...sides,
    packets: parts.reduce((sum, part) => sum + part.packets, 0),
    differences: parts.flatMap((part) => part.differences),
  };
}
