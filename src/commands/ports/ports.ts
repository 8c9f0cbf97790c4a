import { nodeAddresses } from '../../config/node.ts';
import { libraryAddresses } from '../../kernel/interfaces.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { UsageError } from '../failure.ts';
import { readConfig, sayProblems } from '../input/input.ts';
import type { Input } from '../input/input.ts';
import { outputFormat, printValue } from '../output/format.ts';
import { palette } from '../output/palette.ts';
import { counted } from '../output/words.ts';
import { portTableOf, readPortInput } from './input.ts';
import { isConflict } from './problems.ts';
import type { PortTable } from './table.ts';
import { portsText } from './text.ts';

/** Lists every node port and what stands in its way. 0 no conflict, 1 two want one port, 2 trouble. */
export async function ports(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const format = outputFormat(options.output, ['text', 'wide', 'json', 'yaml']);
  const suggest = countOf(options.own['suggest']);
  const config = await readConfig(options, effects);
  const { input, others } = await readPortInput(options, effects, { config });
  const isHere = options.filenames.length > 0 || isThisHost(input);
  if (!isHere) effects.say(`this host is not node ${input.host.nodeName}: its listeners and port ranges are left out`);
  const table = await portTableOf(input, { suggest, isHere });
  if (format === 'json' || format === 'yaml') await printValue(table, format, effects);
  else effects.print(portsText(table, format, palette(effects)));
  if (table.suggested.length < suggest)
    effects.say(`free in the static band: only ${counted(table.suggested.length, 'port')}`);
  sayProblems(others, effects);
  return others.length > 0 ? 2 : hasConflict(table) ? 1 : 0;
}

function countOf(value: unknown): number {
  if (value === undefined) return 0;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new UsageError(`--suggest ${text}: expected how many ports to suggest, for instance 3`);
}

/** Whether the Node of a cluster is the machine we run on; unknown counts as yes. */
function isThisHost({ host }: Input): boolean {
  const addresses = nodeAddresses(host.node);
  const own = new Set(libraryAddresses().map(({ address }) => address));
  return addresses.length === 0 || addresses.some((address) => own.has(address));
}

function hasConflict({ conflicts, nodePorts, healthCheckNodePorts }: PortTable): boolean {
  const problems = [...nodePorts, ...healthCheckNodePorts].flatMap((one) => one.problems);
  return conflicts.length > 0 || problems.some(isConflict);
}
