/** A tool that tells of commits to nf_tables for as long as it runs, and how its lines are read. */
export interface Listener {
  readonly tool: string;
  readonly args: readonly string[];
  /** Whether the process listens, by the netlink sockets of its network namespace. */
  readonly listens: (sockets: readonly NetlinkSocket[], pid: number) => boolean;
  /** A library that must be in the process, or it would keep to itself what it has to tell. */
  readonly library?: string;
  readonly read: (line: string) => Told;
}

/** A socket of the kernel's netfilter interface, as /proc/net/netlink lists it. */
export interface NetlinkSocket {
  /** The process, for its first socket; a number made up by the kernel, from 2^31 on, for any further one. */
  readonly port: number;
  /** The groups of notices that it wants, as bits. */
  readonly groups: number;
}

/** What a line says; changes come first, then the commit that made them. */
export type Told =
  | { readonly kind: 'change'; readonly text: string }
  | { readonly kind: 'commit'; readonly generation: number; readonly pid: number; readonly processName: string }
  | { readonly kind: 'gap'; readonly reason: string }
  | { readonly kind: 'nothing' };

/** Tells everything, and survives everything; but it reads the whole ruleset before it listens. */
export const nftListener: Listener = {
  tool: 'nft',
  args: ['monitor'],
  listens: (sockets, pid) => sockets.some(({ port, groups }) => port === pid && groups !== 0),
  read: readNftLine,
};

const furtherSocket = 2 ** 31;
const nftablesGroup = 0x40;

/**
 * Begins at no cost, and tells of chains and rules alone. It ends when it meets a rule that iptables cannot say, or more
 * commits than its socket holds. Without stdbuf it prints once four kilobytes have come together.
 */
export const xtablesListener: Listener = {
  tool: 'stdbuf',
  args: ['-oL', 'xtables-monitor', '--event'],
  library: 'libstdbuf',
  // It opens its first socket, and the one to listen with right after.
  listens: (sockets, pid) =>
    sockets.some(({ port }) => port === pid) &&
    sockets.some(({ port, groups }) => port >= furtherSocket && (groups & nftablesGroup) !== 0),
  read: readXtablesLine,
};

function readNftLine(line: string): Told {
  // The socket overran: what comes next may be the rest of a transaction whose start is gone.
  if (line.startsWith('# ERROR:')) return { kind: 'gap', reason: `nft monitor: ${line.slice(9)}` };
  return commitOf(/^# new generation (\d+) by process (\d+) \((.*)\)$/.exec(line)) ?? { kind: 'change', text: line };
}

const kernelFamilies = new Map([
  ['-4', 'ip'],
  ['-6', 'ip6'],
]);
const verbs = new Map([
  ['-A', 'add rule'],
  ['-D', 'delete rule'],
  ['-N', 'add chain'],
  ['-X', 'delete chain'],
]);

/** Its lines in nft's words: `EVENT: -4 -t nat -A KUBE-SERVICES …` is `add rule ip nat KUBE-SERVICES …`. */
function readXtablesLine(line: string): Told {
  const [, commit, event = ''] = /^ *(?:(NEWGEN: .*)|EVENT: *(.*))$/.exec(line) ?? [];
  if (commit !== undefined) {
    return commitOf(/^NEWGEN: GENID=(\d+) PID=(\d+) NAME=(.*)$/.exec(commit)) ?? { kind: 'nothing' };
  }
  const [first = '', second, third = '', fourth = '', ...rest] = event.split(' ');
  const family = kernelFamilies.get(first);
  // -4 -t nat -A CHAIN …
  if (family !== undefined) {
    return { kind: 'change', text: [verbs.get(fourth) ?? fourth, family, third, ...rest].join(' ') };
  }
  // nft: NEW table: table nat ip …
  if (first === 'nft:') {
    return { kind: 'change', text: `${second === 'NEW' ? 'add' : 'delete'} table ${rest[1] ?? ''} ${rest[0] ?? ''}` };
  }
  // # nft: ip nat PREROUTING …
  if (second === 'nft:') return { kind: 'change', text: `add chain ${third} ${fourth} ${rest[0] ?? ''}` };
  return { kind: 'nothing' };
}

function commitOf(found: RegExpExecArray | null): Told | undefined {
  if (found === null) return undefined;
  const [, generation, pid, processName = ''] = found;
  return { kind: 'commit', generation: Number(generation), pid: Number(pid), processName };
}
