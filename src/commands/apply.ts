import type { Backend } from '../agent/backend.ts';
import { sync } from '../agent/sync.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Plan } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { CommandEffects, CommandOptions } from './command.ts';
import { difference, familyDifference, noPlan } from './diff/difference.ts';
import type { FamilyDifference } from './diff/difference.ts';
import { differenceText, extent } from './diff/text.ts';
import { readConfig, readInput, sayProblems } from './input/input.ts';
import type { Input } from './input/input.ts';
import { hasFamily, warning, withKernel } from './live/input.ts';
import type { LiveInput } from './live/input.ts';
import { backendFor, countsPackets, openKernel, routeLocalhost } from './live/kernel.ts';
import type { Kernel } from './live/kernel.ts';
import { findLeftovers, removeLeftovers } from './live/leftovers.ts';
import { inTurn } from './live/turn.ts';
import { outputFormat, printValue } from './output/format.ts';
import { palette } from './output/palette.ts';
import { printedScript } from './output/script.ts';

/** What became of one family. */
interface FamilyOutcome {
  readonly difference: FamilyDifference;
  /** In words: what did not work. */
  readonly failures: readonly string[];
}

/** Makes the kernel's rules equal to those of the state, once. With `--dry-run`: prints the scripts instead. */
export async function apply(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const format = outputFormat(options.output, ['text', 'json', 'yaml']);
  const config = await readConfig(options, effects);
  const kernel = await openKernel(effects.env);
  const input = await readInput(options, effects, { config, facts: kernel.facts });
  const { outcomes, durationMs } = options.dryRun
    ? await applyFamilies(kernel, input, options, effects)
    : await inTurn(kernel, effects, () => applyFamilies(kernel, input, options, effects));
  const found = difference(
    outcomes.map((outcome) => outcome.difference),
    input.warnings,
  );
  const failures = outcomes.flatMap((outcome) =>
    outcome.failures.map((words) => `${outcome.difference.family}: ${words}`),
  );
  const report = { ...found, applied: !options.dryRun && failures.length === 0, durationMs };
  if (format !== 'text') await printValue(report, format, effects);
  else if (!options.dryRun) effects.print(differenceText(found, 'objects', palette(effects)));
  if (format === 'text') effects.say(summary(report, options, failures.length > 0));
  for (const failure of failures) effects.say(`error: ${failure}`);
  sayProblems(input.problems, effects);
  return failures.length + input.problems.length === 0 ? 0 : 2;
}

function summary(
  report: { applied: boolean; durationMs: number; families: readonly FamilyDifference[] },
  options: CommandOptions,
  isIncomplete: boolean,
): string {
  const what = extent(report.families);
  if (what === 'nothing') return isIncomplete ? 'nothing was applied' : 'nothing to change';
  if (options.dryRun) return `${what} would change; nothing was applied`;
  return report.applied ? `${what} changed in ${report.durationMs} ms` : `${what} differed; not everything was applied`;
}

async function applyFamilies(kernel: Kernel, input: Input, options: CommandOptions, effects: CommandEffects) {
  const started = performance.now();
  const live = await withKernel(kernel, input);
  const outcomes: FamilyOutcome[] = [];
  for (const model of input.models) outcomes.push(await applyFamily(model, live, options, effects));
  return { outcomes, durationMs: Math.round(performance.now() - started) };
}

async function applyFamily(
  model: ProxyModel,
  live: LiveInput,
  options: CommandOptions,
  effects: CommandEffects,
): Promise<FamilyOutcome> {
  const { family } = model;
  const { kernel, variant } = live;
  const { mode, nfacct } = live.config;
  const counters = mode === 'iptables' && !options.dryRun ? await countsPackets(kernel, variant) : nfacct;
  const { backend } = backendFor(kernel, mode, { family, variant, counters });
  try {
    if (!(await hasFamily(model, live, effects)))
      return { difference: familyDifference(model, noPlan, []), failures: [] };
    const leftovers = await findLeftovers(kernel, mode, { family, variant }, warning(effects));
    const objects = leftovers.flatMap((leftover) => leftover.objects);
    if (options.dryRun) {
      const plan = backend.plan(await backend.list(), backend.desired(model));
      const scripts = [plan, ...leftovers.map((leftover) => leftover.plan)].flatMap((one) => one.scripts);
      if (options.output === 'text') for (const script of scripts) effects.print(printedScript(script));
      return { difference: familyDifference(model, plan, objects), failures: [] };
    }
    const result = await sync(backend, model, { keepGoing: options.keepGoing });
    const failures = [
      ...result.refusals.map(({ service, reason }) => `Service ${namespacedName(service)} was left out: ${reason}`),
      ...(await routeLocalhost(kernel, model)),
      ...result.leftovers.map((words) => `something unused could not be removed and was left: ${words}`),
      ...(await removeLeftovers(leftovers)),
    ];
    return { difference: familyDifference(model, result.plan, objects), failures };
  } catch (error) {
    // The other family is not to blame.
    const { message } = error as Error;
    const plan = await remaining(backend, model);
    return { difference: { ...familyDifference(model, plan, []), error: message }, failures: [message] };
  }
}

/** What still differs after a sync that failed; nothing where the kernel cannot be read either. */
async function remaining(backend: Backend, model: ProxyModel): Promise<Plan> {
  const live = await backend.list().catch(() => undefined);
  return live === undefined ? noPlan : backend.plan(live, backend.desired(model));
}
