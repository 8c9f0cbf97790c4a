import { ownFiles } from '../../kernel/files.ts';
import type { Problem } from '../../source/problem.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { InputError } from '../failure.ts';
import { readInput } from '../input/input.ts';
import type { Input, InputUse } from '../input/input.ts';
import { isPortConflict } from './conflicts.ts';
import { hostPorts } from './host.ts';
import { portTable } from './table.ts';
import type { PortTable } from './table.ts';

/** An input that may hold Services refused for their node ports. */
export interface PortInput {
  readonly input: Input;
  /** What was refused for another reason. */
  readonly others: readonly Problem[];
}

/**
 * The input of a command that is asked about node ports: a Service refused for one is among what it shows. Throws
 * InputError with all other problems unless `--keep-going`.
 */
export async function readPortInput(
  options: CommandOptions,
  effects: CommandEffects,
  use: InputUse,
): Promise<PortInput> {
  const input = await readInput({ ...options, keepGoing: true }, effects, use);
  const others = input.problems.filter((problem) => !isPortConflict(problem));
  if (others.length > 0 && !options.keepGoing) throw new InputError(others);
  return { input, others };
}

/** What the table tells beside the input. */
export interface TableUse {
  /** How many free ports to suggest. */
  readonly suggest: number;
  /** The input is of this host, whose listeners and port ranges count. */
  readonly isHere: boolean;
}

/** The table of node ports of an input. */
export async function portTableOf(
  { config, state, models, problems, host }: Input,
  { suggest, isHere }: TableUse,
): Promise<PortTable> {
  return portTable({
    ...{ state, models, problems, suggest },
    nodeAddresses: host.addresses,
    nodePortRange: config.nodePortRange,
    ...(isHere ? { host: await hostPorts(ownFiles) } : {}),
  });
}
