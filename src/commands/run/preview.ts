import type { Clock } from '../../agent/runner.ts';
import type { ProxyModel } from '../../model/model.ts';
import type { Plan } from '../../ruleset/plan.ts';
import type { IPFamily } from '../../source/objects.ts';
import type { Warning } from '../../source/warning.ts';
import type { CommandEffects } from '../command.ts';
import { difference, familyDifference } from '../diff/difference.ts';
import type { Difference, FamilyDifference } from '../diff/difference.ts';
import { differenceText, extent } from '../diff/text.ts';
import { uniqueWarnings } from '../input/input.ts';
import { printValue } from '../output/format.ts';
import { palette } from '../output/palette.ts';
import { printedScript } from '../output/script.ts';

/** How a dry run of the agent prints what it would do. */
export type PreviewFormat = 'text' | 'json' | 'yaml' | 'script';

export interface PreviewOptions {
  readonly format: PreviewFormat;
  readonly effects: CommandEffects;
  readonly clock: Clock;
  /** Of each family that is worked on, objects of another mode or variant. */
  readonly leftovers: ReadonlyMap<IPFamily, readonly string[]>;
}

/** Takes what a sync of one family would change. */
export type Preview = (model: ProxyModel, plan: Plan, tookMs: number) => void;

/** The syncs that one event asks for in each family end about together; of a large node not quite, the first time. */
const togetherMs = 200;
const firstMs = 5_000;

/**
 * Prints what the agent would change, whenever that is something else than before: the scripts of a family; or all of
 * it for every family, as `diff` does: text, one JSON object a line, or YAML documents.
 */
export function previewPrinter({ format, effects, clock, leftovers }: PreviewOptions): Preview {
  if (format === 'script') return scriptPrinter(effects);
  const told = new Map<IPFamily, Told>();
  let printed = '';
  let tookMs = 0;
  let next: { readonly at: number; readonly cancel: () => void } | undefined;
  const print = () => {
    next = undefined;
    const found = everyFamily([...leftovers.keys()].flatMap((family) => told.get(family) ?? []));
    const durationMs = Math.round(tookMs);
    tookMs = 0;
    const text = JSON.stringify(found);
    if (text === printed) return;
    printed = text;
    printFound(found, durationMs, format, effects);
  };
  return (model, plan, syncMs) => {
    const objects = leftovers.get(model.family) ?? [];
    told.set(model.family, { family: familyDifference(model, plan, objects), warnings: model.warnings });
    tookMs += syncMs;
    const waitMs = told.size < leftovers.size ? firstMs : togetherMs;
    const at = clock.now() + waitMs;
    if (next !== undefined && next.at <= at) return;
    next?.cancel();
    next = { at, cancel: clock.after(waitMs, print) };
  };
}

interface Told {
  readonly family: FamilyDifference;
  readonly warnings: readonly Warning[];
}

function scriptPrinter(effects: CommandEffects): Preview {
  const printed = new Map<IPFamily, string>();
  return ({ family }, { scripts }) => {
    const text = scripts.map(printedScript).join('');
    if (text !== (printed.get(family) ?? '')) effects.print(text);
    printed.set(family, text);
  };
}

function everyFamily(told: readonly Told[]): Difference {
  const families = told.map(({ family }) => family);
  return difference(families, uniqueWarnings(told.flatMap(({ warnings }) => warnings)));
}

function printFound(
  found: Difference,
  durationMs: number,
  format: Exclude<PreviewFormat, 'script'>,
  effects: CommandEffects,
): void {
  if (format === 'text') {
    effects.print(differenceText(found, 'lines', palette(effects)));
    effects.say(`${extent(found.families)} would change; nothing is written`);
    return;
  }
  const report = { ...found, applied: false, durationMs };
  if (format === 'json') effects.print(`${JSON.stringify(report)}\n`);
  else {
    effects.print('---\n');
    void printValue(report, 'yaml', effects);
  }
}
