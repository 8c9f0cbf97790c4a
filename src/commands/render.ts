import type { Config } from '../config/config.ts';
import type { ProxyModel } from '../model/model.ts';
import type { IPFamily } from '../source/objects.ts';
import type { CommandEffects, CommandOptions } from './command.ts';
import { readConfig, readInput, sayProblems } from './input/input.ts';
import { outputFormat, printValue } from './output/format.ts';

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

/** Text of the rules for a model, in the configured mode; only its module is loaded. */
async function renderer(config: Config): Promise<(model: ProxyModel) => string> {
  if (config.mode === 'nftables') {
    const { renderNftables } = await import('../nftables/render.ts');
    return renderNftables;
  }
  const { renderIptables } = await import('../iptables/render.ts');
  return (model) => renderIptables(model, { counters: config.nfacct });
}

/** The command that loads the text of one family into an empty host. */
function toolOf(mode: Config['mode'], family: IPFamily): string {
  if (mode === 'nftables') return 'nft -f';
  return family === 'IPv4' ? 'iptables-restore --noflush' : 'ip6tables-restore --noflush';
}
