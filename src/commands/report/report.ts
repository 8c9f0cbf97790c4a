import type { CommandEffects, CommandOptions } from '../command.ts';
import { liveDifference } from '../diff/live.ts';
import { examineNode } from '../doctor/examination.ts';
import { desiredPrograms, livePrograms } from '../explain/programs.ts';
import { surroundings } from '../explain/surroundings.ts';
import { readConfig, sayProblems } from '../input/input.ts';
import type { Input } from '../input/input.ts';
import { openKernel } from '../live/kernel.ts';
import type { Kernel } from '../live/kernel.ts';
import { portTableOf, readPortInput } from '../ports/input.ts';
import { reportOf } from './data.ts';
import type { ReportInput } from './data.ts';
import { reportPage } from './page.ts';

/**
 * Prints one HTML page about a state: its node ports, Services, the ways of packets, and what is wrong. With `--live`
 * packets are walked through the kernel's rules, and the node is looked at too, as far as our rights go.
 */
export async function report(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const config = await readConfig(options, effects);
  const kernel = options.own['live'] === true ? await openKernel(effects.env) : undefined;
  const { input, others } = await readPortInput(options, effects, { config, facts: kernel?.facts });
  const table = await portTableOf(input, { suggest: 0, isHere: kernel !== undefined });
  const seen = kernel === undefined ? unseenNode(input) : await seenNode(kernel, input, effects);
  const time = new Date().toISOString();
  effects.print(reportPage(reportOf({ input, table, time, ...seen })));
  sayProblems(others, effects);
  return others.length === 0 ? 0 : 2;
}

type NodeSight = Omit<ReportInput, 'input' | 'table' | 'time'>;

function unseenNode(input: Input): NodeSight {
  const { config, models } = input;
  const walk = { programs: desiredPrograms(config.mode, models), ...surroundings(config, input) };
  return { walk, rules: 'desired', unseen: [] };
}

/** Looks at this host; what cannot be seen is said in the page, and the rest is shown all the same. */
async function seenNode(kernel: Kernel, input: Input, effects: CommandEffects): Promise<NodeSight> {
  const { config, models } = input;
  const unseen: string[] = [];
  const attempt = async <T>(what: string, look: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await look();
    } catch (error) {
      unseen.push(`${what}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const live = await attempt('The packets below were walked through the desired rules', () =>
    livePrograms(kernel, config.ipFamilies),
  );
  const families = await attempt('The live rules could not be compared', () => liveDifference(kernel, input, effects));
  const differences = families?.filter(({ family, error }) => {
    if (error !== undefined) unseen.push(`The live rules of ${family} could not be compared: ${error}`);
    return error === undefined;
  });
  const findings = await attempt('This node could not be examined', () => examineNode(config, effects.env));
  const programs = live ?? desiredPrograms(config.mode, models);
  return {
    walk: { programs, ...surroundings(config, input) },
    rules: live === undefined ? 'desired' : 'live',
    unseen,
    ...(differences === undefined || differences.length === 0 ? {} : { differences }),
    ...(findings === undefined ? {} : { findings }),
  };
}
