import type { Files } from './files.ts';
import type { Follow, Following } from './follow.ts';

/** A transaction that somebody committed to the nf_tables of this network namespace, by nft or iptables-nft. */
export interface Commit {
  readonly generation: number;
  /** As the initial PID namespace numbers it: not our numbers when we run in a container without hostPID. */
  readonly pid: number;
  /** The kernel's name of the process: the last part of the path it was started by, at most 15 bytes. */
  readonly processName: string;
  /** What changed, in nft's words, the first of it; `add rule ip nat KUBE-SERVICES …`. */
  readonly changes: readonly string[];
  /** Changes in all. */
  readonly changeCount: number;
}

/** What a monitor tells. */
export interface MonitorHandlers {
  onCommit(commit: Commit): void;
  /** Commits may have been missed (it starts, or was overrun, or died): read the live rules. */
  onGap(reason: string): void;
}

/** A running `nft monitor`, started again when it dies. */
export interface Monitor {
  stop(): void;
}

/** What a monitor works with. */
export interface MonitorEffects {
  readonly follow: Follow;
  readonly files: Files;
}

const keptChanges = 100;
const firstRestartMs = 1_000;
const longestRestartMs = 30_000;
/** A monitor that lived so long was well; its end starts the back-off anew. */
const healthyAfterMs = 60_000;
const pollMs = 20;

/**
 * Reports commits until stopped. `onGap` is called once the kernel reports to us, so that reading the rules
 * then and listening from then on leaves nothing out. legacy iptables reports nothing.
 */
export function startMonitor(effects: MonitorEffects, handlers: MonitorHandlers): Monitor {
  let following: Following | undefined;
  let timer: NodeJS.Timeout | undefined;
  let restartMs = firstRestartMs;
  let isStopped = false;

  const start = () => {
    const startedAt = performance.now();
    const onLine = commitReader(handlers);
    following = effects.follow('nft', ['monitor'], {
      onLine,
      onEnd: (reason) => {
        clearTimeout(timer);
        if (performance.now() - startedAt > healthyAfterMs) restartMs = firstRestartMs;
        timer = setTimeout(start, restartMs);
        restartMs = Math.min(restartMs * 2, longestRestartMs);
        handlers.onGap(reason);
      },
    });
    const { pid } = following;
    if (pid !== undefined) awaitSubscription(pid);
  };

  const awaitSubscription = (pid: number) => {
    timer = setTimeout(() => {
      void isSubscribed(effects.files, pid).then((isReady) => {
        if (isStopped || following?.pid !== pid) return;
        if (isReady) handlers.onGap('nft monitor listens from now on');
        else awaitSubscription(pid);
      });
    }, pollMs);
  };

  start();
  return {
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      following?.stop();
    },
  };
}

/** Changes come first, then the line that names generation and process. */
function commitReader(handlers: MonitorHandlers): (line: string) => void {
  let changes: string[] = [];
  let changeCount = 0;
  return (line) => {
    if (line.startsWith('# ERROR:')) {
      // The socket overran: what comes next may be the rest of a transaction whose start is gone.
      [changes, changeCount] = [[], 0];
      handlers.onGap(`nft monitor: ${line.slice(9)}`);
      return;
    }
    const commit = /^# new generation (\d+) by process (\d+) \((.*)\)$/.exec(line);
    if (commit === null) {
      changeCount += 1;
      if (changes.length < keptChanges) changes.push(line);
      return;
    }
    const [, generation, pid, processName = ''] = commit;
    const told = { generation: Number(generation), pid: Number(pid), processName, changes, changeCount };
    [changes, changeCount] = [[], 0];
    handlers.onCommit(told);
  };
}

/** nft's netlink socket (protocol 12, netfilter) carries the process's number, and groups once it listens. */
async function isSubscribed(files: Files, pid: number): Promise<boolean> {
  const text = await files.read(`/proc/${pid}/net/netlink`).catch(() => undefined);
  return (text ?? '').split('\n').some((line) => {
    const [, protocol, owner, groups = '0'] = line.trim().split(/ +/);
    return protocol === '12' && Number(owner) === pid && Number.parseInt(groups, 16) !== 0;
  });
}
