import { scriptText } from '../ruleset/plan.ts';
import type { Config } from '../config/config.ts';
import type { IPFamily } from '../source/objects.ts';
import type { CommandEffects, CommandOptions } from './command.ts';
import { readConfig } from './input/input.ts';
import { backendFor, openKernel } from './live/kernel.ts';
import type { Kernel, NamedBackend } from './live/kernel.ts';
import { removedObjects, runRemoval } from './live/removal.ts';
import { inTurn } from './live/turn.ts';
import { outputFormat, printValue } from './output/format.ts';
import { counted } from './output/words.ts';

/** What was removed, or would be, from one tool and family. */
interface Removal {
  readonly family: IPFamily;
  readonly tool: string;
  readonly removed: readonly string[];
}

/** Removes all that is ours or kube-proxy's: both modes, both variants of iptables, the selected families. */
export async function cleanup(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const format = outputFormat(options.output, ['text', 'json', 'yaml']);
  const config = await readConfig(options, effects);
  const kernel = await openKernel(effects.env);
  const work = () => removeAll(config, kernel, options, effects);
  const { removals, failures } = options.dryRun ? await work() : await inTurn(kernel, effects, work);
  const found = removals.filter(({ removed }) => removed.length > 0);
  const applied = !options.dryRun && failures.length === 0;
  if (format !== 'text') await printValue({ removals: found, applied }, format, effects);
  else if (!options.dryRun) for (const removal of found) effects.print(removalText(removal));
  if (format === 'text') effects.say(summary(found, options, failures.length > 0));
  for (const failure of failures) effects.say(`error: ${failure}`);
  return failures.length === 0 ? 0 : 2;
}

async function removeAll(config: Config, kernel: Kernel, options: CommandOptions, effects: CommandEffects) {
  const removals: Removal[] = [];
  const failures: string[] = [];
  for (const family of config.ipFamilies) {
    const backends = [
      ...(['nft', 'legacy'] as const).map((variant) =>
        backendFor(kernel, 'iptables', { family, variant, counters: false }),
      ),
      backendFor(kernel, 'nftables', { family, variant: 'nft', counters: false }),
    ];
    for (const named of backends) {
      try {
        const { removed, failed } = await remove(named, options, effects);
        removals.push({ family, tool: named.name, removed });
        failures.push(...failed.map((words) => `${named.name}, ${family}: ${words}`));
      } catch (error) {
        failures.push(`${named.name}, ${family}: ${(error as Error).message}`);
      }
    }
  }
  return { removals, failures };
}

async function remove(
  { name, backend }: NamedBackend,
  options: CommandOptions,
  effects: CommandEffects,
): Promise<{ readonly removed: readonly string[]; readonly failed: readonly string[] }> {
  const plan = backend.planCleanup(await backend.list());
  const removed = removedObjects(plan);
  if (options.dryRun) {
    if (options.output === 'text') {
      for (const script of plan.scripts) effects.print(`# ${name}: ${script.tool}\n${scriptText(script)}`);
    }
    return { removed, failed: [] };
  }
  const failed = await runRemoval(backend, plan);
  if (failed.length === 0) return { removed, failed };
  const left = removedObjects(backend.planCleanup(await backend.list()));
  return { removed: removed.filter((object) => !left.includes(object)), failed };
}

function removalText({ family, tool, removed }: Removal): string {
  return `${family}, ${tool}\n${removed.map((object) => `  - ${object}\n`).join('')}`;
}

function summary(found: readonly Removal[], { dryRun }: CommandOptions, isIncomplete: boolean): string {
  const count = found.reduce((sum, { removed }) => sum + removed.length, 0);
  if (count === 0) return isIncomplete ? 'nothing was removed' : 'nothing of ours or of kube-proxy is there';
  return `${counted(count, 'object')} ${dryRun ? 'would be removed' : 'removed'}`;
}
