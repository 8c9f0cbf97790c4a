import { CommandError } from './errors.ts';
import type { IpFamily } from './iptables-tools.ts';
import type { Run, RunResult } from './run.ts';
import type { RuntimeDirectory } from './runtime-directory.ts';

/** A tracked UDP flow: what the client sent to, and who answers. Addresses as the kernel prints them. */
export interface UdpFlow {
  readonly family: IpFamily;
  readonly original: FlowDirection;
  readonly reply: FlowDirection;
}

/** One direction of a flow. */
export interface FlowDirection {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** The kernel's table of connections, as far as UDP goes. */
export interface Conntrack {
  /** Throws CommandError. */
  listUdp(family: IpFamily): Promise<readonly UdpFlow[]>;
  /**
   * Deletes the flows, a batch a process; those already gone count as deleted. Whatever else is sent to the same
   * place and answered by the same one goes too: it is as stale, and only came later. Throws CommandError.
   */
  delete(flows: readonly UdpFlow[]): Promise<void>;
}

/** Deletions a process. Each looks through the kernel's whole table: 15 ms on an idle host, a second on a full one. */
const batchSize = 50;
const batchTimeoutMs = 120_000;
/** Attempts at a batch: the tool stops at a flow that ended between its look at the table and the deletion. */
const batchAttempts = 10;

/** By the `conntrack` tool. */
export function createConntrack(effects: { readonly run: Run; readonly directory: RuntimeDirectory }): Conntrack {
  return {
    listUdp: async (family) => {
      const args = ['-L', '-p', 'udp', '-f', family === 'IPv4' ? 'ipv4' : 'ipv6', '-o', 'extended'];
      const result = await effects.run('conntrack', args);
      if (result.exitCode !== 0 || result.isTruncated) throw new CommandError(result, `listing UDP flows of ${family}`);
      return parseFlows(result.stdout, family);
    },
    delete: async (flows) => {
      // By destination and answer, not by client: one deletion for the thousand clients of a dead endpoint.
      const deletions = [...new Map(flows.map(deletion).map((args) => [args.join(' '), args])).values()];
      for (let start = 0; start < deletions.length; start += batchSize) {
        await deleteBatch(effects, deletions.slice(start, start + batchSize));
      }
    },
  };
}

/** Lines: `ipv4 2 udp 17 29 src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… sport=… dport=… mark=0 use=1`. */
function parseFlows(text: string, family: IpFamily): readonly UdpFlow[] {
  return text.split('\n').flatMap((line) => {
    const [original, reply] = parseDirections(line);
    return original === undefined || reply === undefined ? [] : [{ family, original, reply }];
  });
}

function parseDirections(line: string): readonly FlowDirection[] {
  const directions: FlowDirection[] = [];
  let values = new Map<string, string>();
  for (const field of line.split(' ')) {
    const equals = field.indexOf('=');
    values.set(field.slice(0, equals), field.slice(equals + 1));
    if (!field.startsWith('dport=')) continue;
    directions.push({
      source: values.get('src') ?? '',
      destination: values.get('dst') ?? '',
      sourcePort: Number(values.get('sport')),
      destinationPort: Number(values.get('dport')),
    });
    values = new Map();
  }
  return directions;
}

async function deleteBatch(
  effects: { readonly run: Run; readonly directory: RuntimeDirectory },
  deletions: readonly (readonly string[])[],
): Promise<void> {
  const text = deletions.map((args) => `${args.join(' ')}\n`).join('');
  const file = await effects.directory.write('conntrack', text);
  try {
    const result = await runDeletion(effects.run, ['-R', file.path]);
    if (result.exitCode === 0 || deletedNothing(result.stderr)) return;
    if (!/Unknown|unrecognized|invalid option/i.test(result.stderr))
      throw new CommandError(result, 'deleting UDP flows');
  } finally {
    await file.remove();
  }
  // Before 1.4.7 conntrack reads no file of commands.
  for (const args of deletions) {
    const result = await runDeletion(effects.run, args);
    if (result.exitCode !== 0 && !deletedNothing(result.stderr)) throw new CommandError(result, 'deleting a UDP flow');
  }
}

/** Goes on after flows that end by themselves; each attempt finds only what the ones before left. */
async function runDeletion(run: Run, args: readonly string[]): Promise<RunResult> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await run('conntrack', args, { timeoutMs: batchTimeoutMs });
    if (attempt === batchAttempts || !result.stderr.includes("such conntrack doesn't exist")) return result;
  }
}

/** Exit code 1, but the flow is gone, and that is what we want. */
function deletedNothing(stderr: string): boolean {
  return stderr.includes('0 flow entries have been deleted');
}

function deletion({ family, original, reply }: UdpFlow): readonly string[] {
  const to = ['-d', original.destination, '--dport', String(original.destinationPort)];
  const answer = ['-r', reply.source, '--reply-port-src', String(reply.sourcePort)];
  return ['-D', '-p', 'udp', '-f', family === 'IPv4' ? 'ipv4' : 'ipv6', ...to, ...answer];
}
