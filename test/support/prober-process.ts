import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import type { Namespace } from './namespace.ts';
import type { Inits, Load, LoadReport, Listener, Outcome, Probe, Request } from './prober-messages.ts';

/** The prober inside one namespace, as the tests see it. */
export interface Prober {
  /** Serves on these addresses from now on; those already served are left alone. */
  listen(listeners: readonly Listener[]): Promise<void>;
  /** Sends `count` connections at once, each from a fresh source port. */
  probe(probe: Probe, count: number): Promise<readonly Outcome[]>;
  /** Sends SCTP INIT chunks as UDP datagrams; nobody waits for an answer. */
  sendInits(inits: Inits): Promise<void>;
  /** Starts a load; the returned function stops it and tells what it saw. */
  startTraffic(load: Load): Promise<() => Promise<LoadReport>>;
  /** Empties the client lists of iptables rules (session affinity) in this namespace. */
  forgetClients(): Promise<void>;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Starts the prober, given as the text of a module, in a namespace; it ends with the namespace or with us. */
export function startProber(namespace: Namespace, name: string, script: string): Prober {
  const [file, ...args] = namespace.prefix;
  if (file === undefined) throw new Error('unreachable: a namespace is entered by a command');
  const child = spawn(file, [...args, process.execPath, '--input-type=module', '--eval', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const pending = new Map<number, Pending>();
  let lastId = 0;
  const failAll = (why: string) => {
    for (const { reject } of pending.values()) reject(new Error(`prober ${name}: ${why}`));
    pending.clear();
  };
  child.on('error', (error) => {
    failAll(error.message);
  });
  child.on('exit', (code, signal) => {
    failAll(`ended with ${String(signal ?? code)}`);
  });
  child.stdin.on('error', () => undefined); // Its end is reported by 'exit'.
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as { id: number; result?: unknown; error?: string };
    const waiter = pending.get(message.id);
    pending.delete(message.id);
    if (message.error === undefined) waiter?.resolve(message.result);
    else waiter?.reject(new Error(`prober ${name}: ${message.error}`));
  });
  const send = (request: Request): { readonly id: number; readonly result: Promise<unknown> } => {
    const id = (lastId += 1);
    const result = new Promise((resolve, reject) => pending.set(id, { resolve, reject }));
    if (child.exitCode !== null || child.signalCode !== null) failAll('has ended');
    else child.stdin.write(JSON.stringify({ id, ...request }) + '\n');
    return { id, result };
  };
  return {
    listen: async (listeners) => {
      await send({ do: 'listen', name, listeners }).result;
    },
    probe: async (probe, count) => (await send({ do: 'probe', probe, count }).result) as Outcome[],
    sendInits: async (inits) => {
      await send({ do: 'send inits', inits }).result;
    },
    startTraffic: async (load) => {
      const { id, result } = send({ do: 'start traffic', load });
      await result;
      return async () => (await send({ do: 'stop traffic', traffic: id }).result) as LoadReport;
    },
    forgetClients: async () => {
      await send({ do: 'forget clients' }).result;
    },
  };
}
