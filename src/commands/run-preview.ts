import type { BackendPlan } from '../agent/backend.ts';
import type { ProxyModel } from '../model/model.ts';
import { scriptText } from '../ruleset/plan.ts';
import type { IPFamily } from '../source/objects.ts';
import type { CommandEffects } from './command.ts';
import { difference, familyDifference } from './difference.ts';
import { differenceText, extent } from './difference-text.ts';
import { palette } from './output.ts';

/** How a dry run of the agent prints what it would do. */
export type PreviewFormat = 'text' | 'json' | 'yaml' | 'script';

export interface PreviewOptions {
  readonly format: PreviewFormat;
  readonly effects: CommandEffects;
  /** Objects of another mode or variant, by family. */
  readonly leftovers: ReadonlyMap<IPFamily, readonly string[]>;
}

/** Prints what each sync of one family would change: text, one JSON object a line, YAML documents, or the scripts. */
export function previewPrinter(
  options: PreviewOptions,
): (model: ProxyModel, plan: BackendPlan, tookMs: number) => void {
  const { format, effects, leftovers } = options;
  return (model, plan, tookMs) => {
    if (format === 'script') {
      for (const script of plan.scripts) {
        const command = script.tool === 'nft' ? 'nft -f' : `${script.tool} --noflush -w 5`;
        effects.print(`# ${command}\n${scriptText(script)}`);
      }
      return;
    }
    const found = difference([familyDifference(model, plan, leftovers.get(model.family) ?? [])], model.warnings);
    if (format === 'text') {
      effects.print(differenceText(found, 'lines', palette(effects)));
      effects.say(`${model.family}: ${extent(found.families)} would change; nothing is written`);
      return;
    }
    // JSON is YAML.
    const line = JSON.stringify({ ...found, applied: false, durationMs: Math.round(tookMs) });
    effects.print(format === 'json' ? `${line}\n` : `---\n${line}\n`);
  };
}
