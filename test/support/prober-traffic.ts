import { setMaxListeners } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { probe } from './prober-probe.ts';
import type { Load, LoadReport, Probe } from './prober-messages.ts';

/** A load that runs until it is stopped. */
export interface Traffic {
  stop(): Promise<LoadReport>;
}

interface Tally {
  attempts: number;
  failures: number;
  longLivedMessages: number;
  longLivedFailures: number;
  readonly examples: string[];
  readonly reached: Map<string, number>;
}

const maxExamples = 20;
const lineEveryMs = 20;

/** Keeps up the load: `concurrency` workers that connect again and again, and connections that stay. */
export function startTraffic(load: Load): Traffic {
  const tally: Tally = {
    attempts: 0,
    failures: 0,
    longLivedMessages: 0,
    longLivedFailures: 0,
    examples: [],
    reached: new Map(),
  };
  const end = new AbortController();
  setMaxListeners(0, end.signal); // Each connection that stays waits for it.
  const workers = Array.from({ length: load.concurrency }, (_, index) => reconnect(load, index, tally, end.signal));
  const stayers = load.targets
    .filter(({ protocol }) => protocol === 'tcp')
    .flatMap((target) => Array.from({ length: load.longLived }, () => stay(target, tally, end.signal)));
  return {
    stop: async () => {
      end.abort();
      await Promise.all([...workers, ...stayers]);
      return { ...tally, reached: Object.fromEntries(tally.reached) };
    },
  };
}

async function reconnect({ targets, pauseMs = 0 }: Load, first: number, tally: Tally, end: AbortSignal): Promise<void> {
  for (let turn = first; !end.aborted; turn += 1) {
    const target = targets[turn % targets.length];
    if (target === undefined) return;
    if (pauseMs > 0) await sleep(pauseMs);
    const startedAt = Date.now();
    const outcome = await probe(target);
    tally.attempts += 1;
    if (outcome.kind === 'answer') {
      const server = `${outcome.from.address}:${outcome.from.port}`;
      tally.reached.set(server, (tally.reached.get(server) ?? 0) + 1);
      continue;
    }
    tally.failures += 1;
    const why = outcome.kind === 'error' ? outcome.code : outcome.kind;
    note(tally, `${describe(target)}: ${why} after ${Date.now() - startedAt} ms`);
  }
}

/** One connection on which lines go to and fro; it fails when it ends or when a line is not echoed in time. */
function stay(target: Probe, tally: Tally, end: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: target.destination, port: target.port, localAddress: target.source });
    const patience = setTimeout(() => {
      finish(`no echo within ${target.timeoutMs} ms`);
    }, target.timeoutMs);
    let isFinished = false;
    const finish = (trouble?: string) => {
      if (isFinished) return;
      isFinished = true;
      clearTimeout(patience);
      if (trouble !== undefined) {
        tally.longLivedFailures += 1;
        note(tally, `${describe(target)}: long-lived connection: ${trouble}`);
      }
      socket.resetAndDestroy();
      resolve();
    };
    // The server speaks first; each line from it is answered by another.
    socket.on('data', () => {
      tally.longLivedMessages += 1;
      patience.refresh();
      setTimeout(() => socket.write('still here\n'), lineEveryMs);
    });
    socket.on('error', (error) => {
      finish(error.message);
    });
    socket.on('close', () => {
      finish('closed');
    });
    end.addEventListener('abort', () => {
      finish();
    });
  });
}

function note(tally: Tally, example: string): void {
  if (tally.examples.length < maxExamples) tally.examples.push(example);
}

function describe({ protocol, source, destination, port }: Probe): string {
  return `${protocol} ${source} to ${destination} port ${port}`;
}
