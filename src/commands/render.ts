import type { CommandEffects, CommandOptions } from './command.ts';
import { readConfig, readInput, sayProblems } from './input/input.ts';
import { outputFormat, printValue } from './output/format.ts';
import { renderer, toolOf } from './renderer.ts';

/** Prints the rules as the tool would list them: the dry run that needs no cluster, no root and no kernel. */
export async function render(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const format = outputFormat(options.output, ['text', 'json', 'yaml']);
  const config = await readConfig(options, effects);
  const { models, warnings, problems } = await readInput(options, effects, { config });
  const renderModel = await renderer(config);
  const rulesets = models.map((model) => ({
    family: model.family,
    tool: toolOf(config.mode, model.family),
    text: renderModel(model),
  }));
  if (format !== 'text') await printValue({ rulesets, warnings }, format, effects);
  else if (rulesets.length === 1) effects.print(rulesets[0]?.text ?? '');
  else for (const { tool, text } of rulesets) effects.print(`# ${tool}\n${text}`);
  sayProblems(problems, effects);
  return problems.length === 0 ? 0 : 2;
}
