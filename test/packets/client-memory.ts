import type { Lab } from '../support/lab.ts';
import type { Writer } from './recorded-rules.ts';

/** How to make the rules that stand now forget which client belongs to which endpoint (session affinity). */
export async function clientMemory(lab: Lab, writer: Writer): Promise<() => Promise<void>> {
  if (writer !== 'nftables') return lab.forgetClients;
  const commands = flushCommands(await lab.node.mustExec('nft', '-s', 'list', 'ruleset'));
  if (commands.length === 0) return () => Promise.resolve();
  return async () => {
    await lab.node.mustExec('nft', commands.join('; '));
  };
}

/** Sets that packets write to are the ones that remember. */
function flushCommands(ruleset: string): readonly string[] {
  const commands: string[] = [];
  let table = '';
  let set = '';
  for (const line of ruleset.split('\n')) {
    table = /^table (\S+ \S+) \{$/.exec(line)?.[1] ?? table;
    set = /^\tset (\S+) \{$/.exec(line)?.[1] ?? set;
    if (/^\t\tflags .*\bdynamic\b/.test(line)) commands.push(`flush set ${table} ${set}`);
  }
  return commands;
}
