import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import type { ProxyModel } from '../model/model.ts';
import type { CommandEffects, CommandOptions } from './command.ts';
import { difference, familyDifference } from './difference.ts';
import type { FamilyDifference } from './difference.ts';
import { counted, differenceText, extent } from './difference-text.ts';
import { TroubleError, UsageError } from './failure.ts';
import { readConfig, readInput, sayProblems } from './input.ts';
import type { Input } from './input.ts';
import { backendFor, iptablesVariant, openKernel, unsupported } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { findLeftovers } from './leftovers.ts';
import { outputFormat, palette, printValue } from './output.ts';
import { savedListing } from './saved-listing.ts';

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
  sayProblems(problems, effects);
  if (problems.length > 0) return 2;
  return found.differs ? 1 : 0;
}

async function againstKernel(options: CommandOptions, effects: CommandEffects, config: Config) {
  const kernel = await openKernel(effects.env);
  const input = await readInput(options, effects, config, kernel.facts);
  return { ...input, families: await liveDifference(kernel, input, effects) };
}

/** What differs in this host's kernel, for each family it has. Throws TroubleError when it has none. */
export async function liveDifference(
  kernel: Kernel,
  input: Input,
  effects: CommandEffects,
): Promise<readonly FamilyDifference[]> {
  const { config } = input;
  const variant = await iptablesVariant(kernel, config);
  const families: FamilyDifference[] = [];
  for (const model of input.models) {
    const { family } = model;
    const reason = await unsupported(kernel, config.mode, family, variant);
    if (reason !== undefined) {
      skipFamily(model, reason, input.models, effects);
      families.push(familyDifference({ ...model, servicePorts: [] }, { changes: [], scripts: [] }, []));
      continue;
    }
    const { backend } = backendFor(kernel, config.mode, { family, variant, counters: config.nfacct });
    const plan = backend.plan(await backend.list(), backend.desired(model));
    const leftovers = await findLeftovers(kernel, config.mode, { family, variant });
    families.push(
      familyDifference(
        model,
        plan,
        leftovers.flatMap(({ objects }) => objects),
      ),
    );
  }
  return families;
}

/** A family that this host does not have is left out; when it has none of those asked for, nothing can be done. */
export function skipFamily(
  model: ProxyModel,
  reason: string,
  all: readonly ProxyModel[],
  effects: CommandEffects,
): void {
  if (all.length === 1 || model.family === 'IPv4') throw new TroubleError(`${model.family}: ${reason}`);
  effects.say(`warning: ${model.family} is left out: ${reason}`);
}

async function againstFile(path: string, options: CommandOptions, effects: CommandEffects, config: Config) {
  const listing = savedListing(path, readSaved(path), config);
  const input = await readInput(options, effects, config, undefined, listing.dropsInvalid);
  const families = input.models
    .filter(({ family }) => listing.families.includes(family))
    .map((model) => {
      const { plan, leftovers } = listing.compare(model);
      return familyDifference(model, plan, leftovers);
    });
  return { ...input, families };
}

function readSaved(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--live: cannot read ${path}: ${(error as Error).message}`);
  }
}
