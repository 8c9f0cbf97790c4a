import type { Config } from '../../config/config.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { readConfig, readInput, sayProblems } from '../input/input.ts';
import { openKernel } from '../live/kernel.ts';
import { savedListing } from '../live/saved-listing.ts';
import { readSaved } from '../live/saved-text.ts';
import { outputFormat, printValue } from '../output/format.ts';
import { palette } from '../output/palette.ts';
import { counted } from '../output/words.ts';
import { difference, familyDifference } from './difference.ts';
import { liveDifference } from './live.ts';
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
