import type { Files } from './files.ts';
import type { Follow, Following } from './follow.ts';
import type { Listener, NetlinkSocket } from './listener.ts';

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

/** Something that listens, started again when it dies. */
export interface Monitor {
  /** Resolves once commits are told, and also when they cannot be for now: `onGap` follows, then, as soon as they are. */
  listening(): Promise<void>;
  /** What is committed while the work goes on is not told; when it has ended `onGap` is called. */
  deafTo<T>(work: () => Promise<T>): Promise<T>;
  /** What the work commits must be told soon: a listener that tells nothing at all is given up for another one. */
  mustHear<T>(work: () => Promise<T>): Promise<T>;
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
/** A listener that lived so long was well; its end starts the back-off anew. */
const healthyAfterMs = 60_000;
const firstPollMs = 20;
const longestPollMs = 1_000;
/** Nobody waits longer for a listener to listen. */
const patienceMs = 5_000;
/** What is committed is told within milliseconds; while somebody commits a great deal, within seconds. */
const silenceMs = 10_000;
/** nft reads all rules of the host before it listens. */
const longestBeginningMs = 120_000;

/**
 * Reports commits until stopped. `onGap` is called once the kernel reports to us, so that reading the rules
 * then and listening from then on leaves nothing out. legacy iptables reports nothing. A listener that ends is not
 * tried again as long as there is another: the last one stays.
 */
export function startMonitor(
  effects: MonitorEffects,
  listeners: readonly [Listener, ...Listener[]],
  handlers: MonitorHandlers,
): Monitor {
  const monitor = new ListenerMonitor(effects, listeners, handlers);
  monitor.start();
  return monitor;
}

class ListenerMonitor implements Monitor {
  readonly #effects: MonitorEffects;
  readonly #handlers: MonitorHandlers;
  #listener: Listener;
  #others: readonly Listener[];
  #following: Following | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Lines told so far, by any listener. */
  #heard = 0;
  /** Runs while a commit must be told. */
  #silence: NodeJS.Timeout | undefined;
  #restartMs = firstRestartMs;
  #isListening = false;
  #isStopped = false;
  /** Works under way that are not listened to. */
  #deafTo = 0;
  #waiting: (() => void)[] = [];

  constructor(
    effects: MonitorEffects,
    [listener, ...others]: readonly [Listener, ...Listener[]],
    handlers: MonitorHandlers,
  ) {
    this.#effects = effects;
    this.#listener = listener;
    this.#others = others;
    this.#handlers = handlers;
  }

  start(): void {
    const startedAt = performance.now();
    const read = commitReader(this.#listener, this.#handlers);
    this.#following = this.#effects.follow(this.#listener.tool, this.#listener.args, {
      onLine: (line) => {
        this.#heard += 1;
        this.#waitForNoWord();
        read(line);
      },
      onEnd: (reason) => {
        if (performance.now() - startedAt > healthyAfterMs) this.#restartMs = firstRestartMs;
        this.#ended(reason);
      },
    });
    const { pid } = this.#following;
    if (pid !== undefined) this.#awaitSubscription(pid, { pollMs: firstPollMs, until: startedAt + longestBeginningMs });
  }

  listening(): Promise<void> {
    if (this.#following === undefined || this.#isListening) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, patienceMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async deafTo<T>(work: () => Promise<T>): Promise<T> {
    this.#deafTo += 1;
    this.#end();
    try {
      return await work();
    } finally {
      this.#deafTo -= 1;
      if (this.#deafTo === 0 && !this.#isStopped) this.start();
    }
  }

  async mustHear<T>(work: () => Promise<T>): Promise<T> {
    const [listener, heard] = [this.#isListening ? this.#following : undefined, this.#heard];
    const result = await work();
    // It may be told before the tool that made it has ended.
    const isOwed = listener !== undefined && this.#following === listener && this.#heard === heard;
    if (isOwed && this.#silence === undefined) {
      this.#silence = setTimeout(() => {
        this.#ended(`${this.#listener.tool} told nothing of a commit for ${silenceMs / 1000} s`);
      }, silenceMs);
    }
    return result;
  }

  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  #waitForNoWord(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#waitForNoWord();
    this.#following?.stop();
    this.#following = undefined;
    this.#isListening = false;
    this.#waitNoMore();
  }

  #ended(reason: string): void {
    this.#end();
    const [next, ...others] = this.#others;
    if (next === undefined) {
      this.#timer = setTimeout(() => {
        this.start();
      }, this.#restartMs);
      this.#restartMs = Math.min(this.#restartMs * 2, longestRestartMs);
    } else {
      [this.#listener, this.#others] = [next, others];
      this.start();
    }
    this.#handlers.onGap(reason);
  }

  #awaitSubscription(pid: number, { pollMs, until }: { readonly pollMs: number; readonly until: number }): void {
    this.#timer = setTimeout(() => {
      void netlinkSockets(this.#effects.files, pid).then(async (sockets) => {
        const isReady = this.#listener.listens(sockets, pid);
        const isHeard = !isReady || (await has(this.#effects.files, pid, this.#listener.library));
        if (this.#following?.pid !== pid) return;
        if (!isHeard) this.#ended(`${this.#listener.args.join(' ')} cannot be heard at once`);
        else if (isReady) this.#listens();
        else if (performance.now() > until) this.#ended(`${this.#listener.tool} does not begin to listen`);
        else this.#awaitSubscription(pid, { pollMs: Math.min(pollMs * 1.5, longestPollMs), until });
      });
    }, pollMs);
  }

  #listens(): void {
    this.#isListening = true;
    this.#handlers.onGap(`${this.#listener.tool} listens from now on`);
    this.#waitNoMore();
  }

  #waitNoMore(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Changes come first, then the line that names generation and process. */
function commitReader(listener: Listener, handlers: MonitorHandlers): (line: string) => void {
  let changes: string[] = [];
  let changeCount = 0;
  return (line) => {
    const told = listener.read(line);
    if (told.kind === 'nothing') return;
    if (told.kind === 'change') {
      changeCount += 1;
      if (changes.length < keptChanges) changes.push(told.text);
      return;
    }
    const made = { changes, changeCount };
    [changes, changeCount] = [[], 0];
    if (told.kind === 'gap') handlers.onGap(told.reason);
    else handlers.onCommit({ generation: told.generation, pid: told.pid, processName: told.processName, ...made });
  };
}

const netfilter = '12';

async function netlinkSockets(files: Files, pid: number): Promise<readonly NetlinkSocket[]> {
  const text = await files.read(`/proc/${pid}/net/netlink`).catch(() => undefined);
  return (text ?? '').split('\n').flatMap((line) => {
    const [, protocol, port, groups = '0'] = line.trim().split(/ +/);
    return protocol === netfilter ? [{ port: Number(port), groups: Number.parseInt(groups, 16) }] : [];
  });
}

async function has(files: Files, pid: number, library: string | undefined): Promise<boolean> {
  if (library === undefined) return true;
  const mapped = await files.read(`/proc/${pid}/maps`).catch(() => undefined);
  return mapped?.includes(library) === true;
}
