import type { Config } from '../../config/config.ts';
import type { Variant } from '../../kernel/iptables-tools.ts';
import type { ProxyModel } from '../../model/model.ts';
import type { Plan } from '../../ruleset/plan.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { TroubleError } from '../failure.ts';
import { readConfig, readInput, sayProblems } from '../input/input.ts';
import type { Input } from '../input/input.ts';
import { backendFor, iptablesVariant, openKernel, unsupported } from '../live/kernel.ts';
import type { Kernel } from '../live/kernel.ts';
import { findLeftovers } from '../live/leftovers.ts';
import { savedListing } from '../live/saved-listing.ts';
import { readSaved } from '../live/saved-text.ts';
import { outputFormat, printValue } from '../output/format.ts';
import { palette } from '../output/palette.ts';
import { counted } from '../output/words.ts';
import { difference, familyDifference } from './difference.ts';
import type { FamilyDifference } from './difference.ts';
import { differenceText, extent } from './text.ts';

/** Compares the live rules, or a saved listing, with what they should be. 0 same, 1 differs, 2 trouble. */
export async function diff(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const format = outputFormat(options.output, ['text', 'json', 'yaml']);
  const config = await readConfig(options, effects);
  const { families, warnings, problems } =
    options.rulesetFile === undefined
      ? await againstKernel(options, effects, config)
      : await againstFile(options.rulesetFile, options, effects, config);
  const found = difference(families, warnings);
  if (format !== 'text') await printValue(found, format, effects);
  else effects.print(differenceText(found, 'lines', palette(effects)));
  const leftovers = families.reduce((count, family) => count + family.leftovers.length, 0);
  if (format === 'text' && found.differs) effects.say(`${extent(families)} would change`);
  if (format === 'text' && leftovers > 0)
    effects.say(`${counted(leftovers, 'object')} left over from another mode or variant`);
  const unread = families.filter(({ error }) => error !== undefined);
  for (const { family, error } of unread) effects.say(`error: ${family}: ${error}`);
  sayProblems(problems, effects);
  if (unread.length + problems.length > 0) return 2;
  return found.differs ? 1 : 0;
}

async function againstKernel(options: CommandOptions, effects: CommandEffects, config: Config) {
  const kernel = await openKernel(effects.env);
  const input = await readInput(options, effects, { config, facts: kernel.facts });
  return { ...input, families: await liveDifference(kernel, input, effects) };
}

/** What differs in this host's kernel, for each family. One that cannot be read says why, and the other is read. */
export async function liveDifference(
  kernel: Kernel,
  input: Input,
  effects: CommandEffects,
): Promise<readonly FamilyDifference[]> {
  const live = await withKernel(kernel, input);
  const families: FamilyDifference[] = [];
  for (const model of input.models) {
    try {
      families.push(await liveFamily(model, live, effects));
    } catch (error) {
      families.push({ ...familyDifference(model, noPlan, []), error: (error as Error).message });
    }
  }
  return families;
}

/** An input, and the kernel it is held against. */
export interface LiveInput extends Input {
  readonly kernel: Kernel;
  readonly variant: Variant;
}

/** Throws TroubleError where the variant of iptables cannot be told. */
export async function withKernel(kernel: Kernel, input: Input): Promise<LiveInput> {
  return { ...input, kernel, variant: await iptablesVariant(kernel, input.config) };
}

async function liveFamily(model: ProxyModel, live: LiveInput, effects: CommandEffects): Promise<FamilyDifference> {
  if (!(await hasFamily(model, live, effects))) return familyDifference(model, noPlan, []);
  const { kernel, variant } = live;
  const { mode, nfacct: counters } = live.config;
  const { family } = model;
  const { backend } = backendFor(kernel, mode, { family, variant, counters });
  const plan = backend.plan(await backend.list(), backend.desired(model));
  const leftovers = await findLeftovers(kernel, mode, { family, variant }, warning(effects));
  return familyDifference(
    model,
    plan,
    leftovers.flatMap(({ objects }) => objects),
  );
}

/** For what a command goes on without. */
export function warning(effects: CommandEffects): (words: string) => void {
  return (words) => {
    effects.say(`warning: ${words}`);
  };
}

/** Of a family that was not looked at. */
export const noPlan: Plan = { changes: [], scripts: [], after: { parts: [] } };

/** A host may be without IPv6: that is said, and no failure unless it alone was asked for. Throws TroubleError. */
export async function hasFamily(
  { family }: ProxyModel,
  { config, models, kernel, variant }: LiveInput,
  effects: CommandEffects,
): Promise<boolean> {
  const reason = await unsupported(kernel, config.mode, family, variant);
  if (reason === undefined) return true;
  if (models.length === 1 || family === 'IPv4') throw new TroubleError(reason);
  warning(effects)(`${family} is left out: ${reason}`);
  return false;
}

async function againstFile(path: string, options: CommandOptions, effects: CommandEffects, config: Config) {
  const listing = savedListing(path, await readSaved(path, options, effects), config);
  const input = await readInput(options, effects, { config, dropsInvalid: listing.dropsInvalid });
  const families = input.models
    .filter(({ family }) => listing.families.includes(family))
    .map((model) => {
      const { plan, leftovers } = listing.compare(model);
      return familyDifference(model, plan, leftovers);
    });
  return { ...input, families };
}
