import type { Config } from '../../config/config.ts';
import { readTexts } from '../../source/files.ts';
import { readManifests } from '../../source/manifests.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { InputError, UsageError } from '../failure.ts';
import { counted } from '../output/words.ts';
import type { FoundState } from './found-state.ts';

/** The state that manifests describe. Throws InputError with all problems at once unless `--keep-going`. */
export async function manifestState(
  options: CommandOptions,
  effects: CommandEffects,
  config: Config,
): Promise<FoundState> {
  const { texts, problems: unreadable } = await readTexts(options.filenames, {
    recursive: options.recursive,
    readStdin: () => effects.readStdin(),
  });
  const found = readManifests(texts, {
    namespace: config.namespace,
    serviceClusterIPRanges: config.serviceClusterIPRanges,
    nodePortRange: config.nodePortRange,
    ...(config.nodeNameOverride === undefined ? {} : { nodeName: config.nodeNameOverride }),
  });
  const problems = [...unreadable, ...found.problems];
  const isEmpty = found.serviceCount === 0 && !options.allowEmpty;
  // What cannot be read may be where the Services are.
  if (problems.length > 0 && (isEmpty || !options.keepGoing)) throw new InputError(problems);
  for (const [kind, count] of found.ignored) effects.say(`note: ${counted(count, `object`)} of kind ${kind} ignored`);
  if (isEmpty) {
    throw new UsageError(
      `${options.filenames.join(', ')}: no Service found; give --allow-empty if that is meant (apply would remove all rules of Services)`,
    );
  }
  return { state: found.state, nodes: found.nodes, problems, warnings: found.warnings };
}
