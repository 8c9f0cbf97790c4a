import { ownFiles } from '../../kernel/files.ts';
import { createRun } from '../../kernel/run.ts';
import { createToolPaths } from '../../kernel/tool-paths.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { UsageError } from '../failure.ts';
import { readConfig, readInput, sayProblems } from '../input/input.ts';
import { placeOfState } from '../input/place.ts';
import { readSaved } from '../live/saved-text.ts';
import { outputFormat, printValue } from '../output/format.ts';
import { answersTo } from './answer.ts';
import type { Answer } from './answer.ts';
import { answerData } from './data.ts';
import { dotText, mermaidText } from './graph.ts';
import { desiredPrograms, dumpPrograms, livePrograms } from './programs.ts';
import { factsOfHost, surroundings } from './surroundings.ts';
import { explainText } from './text.ts';

/**
 * Walks one packet, or one for each kind of client, through the desired rules, the kernel's (`--live`) or a saved
 * listing (`--ruleset`). 0: every client reaches an endpoint; 1: not.
 */
export async function explain(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const format = outputFormat(options.output, ['text', 'json', 'yaml', 'mermaid', 'dot']);
  const [to, from, inInterface] = ['to', 'from', 'inInterface'].map((name) => textOption(options, name));
  if (to === undefined) throw new UsageError('--to is missing: IP:PORT, node:NODEPORT or [NAMESPACE/]SERVICE:PORT');
  const config = await readConfig(options, effects);
  const { rulesetFile: file } = options;
  const saved = file === undefined ? undefined : { file, text: await readSaved(file, options, effects) };
  const run = createRun({ paths: createToolPaths(effects.env['PATH']) });
  const isLive = options.own['live'] === true;
  const hasRules = saved !== undefined || isLive;
  // Rules that exist can be walked without knowing the Services; names and reasons are then fewer.
  const isStateless = hasRules && placeOfState(options, config, effects.env) === undefined;
  if (saved !== undefined && isStateless && config.nodeAddresses === undefined)
    effects.say('note: without -f or --node-addresses the addresses of this host are taken for those of the node');
  const facts = isLive ? factsOfHost(run) : undefined;
  const state = isStateless ? undefined : await readInput(options, effects, { config, facts });
  const programs =
    saved !== undefined
      ? dumpPrograms(saved.text, saved.file, config.ipFamilies)
      : isLive
        ? await livePrograms({ run, files: ownFiles }, config.ipFamilies)
        : desiredPrograms(config.mode, state?.models ?? []);
  const question = {
    to,
    namespace: config.namespace,
    ...(from === undefined ? {} : { from }),
    ...(inInterface === undefined ? {} : { inInterface }),
  };
  const answers = answersTo(question, { programs, ...surroundings(config, state) });
  await printAnswers(answers, from === undefined ? 'side by side' : 'single', format, effects);
  sayProblems(state?.problems ?? [], effects);
  return answers.length > 0 && answers.every(isDelivered) ? 0 : 1;
}

function textOption({ own }: CommandOptions, name: string): string | undefined {
  const value = own[name];
  return typeof value === 'string' ? value : undefined;
}

async function printAnswers(
  answers: readonly Answer[],
  shape: 'single' | 'side by side',
  format: 'text' | 'json' | 'yaml' | 'mermaid' | 'dot',
  effects: CommandEffects,
): Promise<void> {
  const [first] = answers;
  if (format === 'text') effects.print(explainText(answers));
  else if (format === 'mermaid') effects.print(mermaidText(answers));
  else if (format === 'dot') effects.print(dotText(answers));
  else if (shape === 'single' && first !== undefined) await printValue(answerData(first), format, effects);
  else await printValue({ clients: answers.map(answerData) }, format, effects);
}

function isDelivered({ outcome }: Answer): boolean {
  return outcome.verdict === 'endpoint' && outcome.others.length === 0;
}
