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
  const read = readManifests(texts, {
    namespace: config.namespace,
    serviceClusterIPRanges: config.serviceClusterIPRanges,
    nodePortRange: config.nodePortRange,
    ...(config.nodeNameOverride === undefined ? {} : { nodeName: config.nodeNameOverride }),
  });
  const problems = [...unreadable, ...read.problems];
  const isEmpty = read.serviceCount === 0 && !options.allowEmpty;
  // What cannot be read may be where the Services are.
  if (problems.length > 0 && (isEmpty || !options.keepGoing)) throw new InputError(problems);
  for (const [kind, count] of read.ignored) effects.say(`note: ${counted(count, `object`)} of kind ${kind} ignored`);
  if (isEmpty) {
    const inside = options.recursive ? '' : '; -R looks into the folders inside too';
    const found = texts.length === 0 ? `no file *.yaml, *.yml or *.json found${inside}` : 'no Service found';
    throw new UsageError(
      `${options.filenames.join(', ')}: ${found}; give --allow-empty if that is meant (apply would remove all rules of Services)`,
    );
  }
  return { state: read.state, nodes: read.nodes, problems, warnings: read.warnings };
}
