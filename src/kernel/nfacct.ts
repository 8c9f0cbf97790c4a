import { toolName, type Variant } from './iptables-tools.ts';
import type { Run } from './run.ts';

/** Packet counters that rules can name; they belong to the network namespace, not to a table or family. */
export interface Counters {
  /** Those of `names` that exist or could be made now; empty where the tool or the kernel has none. Never throws. */
  ensure(names: readonly string[]): Promise<ReadonlySet<string>>;
  /** Packets counted so far, by name; only counters that exist. Never throws. */
  packets(names: readonly string[]): Promise<ReadonlyMap<string, bigint>>;
}

/** Counters by the `nfacct` tool. */
export function createCounters(run: Run): Counters {
  return {
    ensure: async (names) => {
      const present = new Set((await list(run)).keys());
      for (const name of names) {
        if (!present.has(name) && (await make(run, name))) present.add(name);
      }
      return new Set(names.filter((name) => present.has(name)));
    },
    packets: async (names) => {
      const present = await list(run);
      return new Map(
        names.flatMap((name) => {
          const packets = present.get(name);
          return packets === undefined ? [] : [[name, packets] as const];
        }),
      );
    },
  };
}

/**
 * Whether a rule may name a counter that exists: iptables and the kernel each have a part of the match of their own.
 * One that lacks it refuses every rule that is written together with such a rule. Asks for a rule, makes none; another
 * failure than that is no answer.
 */
export async function hasCounterMatch(run: Run, variant: Variant, counter: string): Promise<boolean> {
  const rule = ['OUTPUT', '-m', 'nfacct', '--nfacct-name', counter];
  const { stderr } = await run(toolName('IPv4', variant), ['-w', '5', '-C', ...rule]);
  return !/Couldn't load match|Extension nfacct .*not supported/.test(stderr);
}

/** Lines: `{ pkts = 00000000000000000012, bytes = 00000000000000000900 } = ct_state_invalid_dropped_pkts;` */
async function list(run: Run): Promise<ReadonlyMap<string, bigint>> {
  const result = await run('nfacct', ['list']);
  const found = new Map<string, bigint>();
  if (result.exitCode !== 0) return found;
  for (const [, packets = '0', name = ''] of result.stdout.matchAll(/^\{ pkts = (\d+), [^}]*\} = (\S+);$/gm)) {
    found.set(name, BigInt(packets));
  }
  return found;
}

async function make(run: Run, name: string): Promise<boolean> {
  const result = await run('nfacct', ['add', name]);
  // Busy: somebody made it between our look and now.
  return result.exitCode === 0 || result.stderr.includes('Device or resource busy');
}
