import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bundle } from './bundle.ts';
import type { ApiOrder } from './fake-api-process.ts';
import type { ApiObject } from './fake-api-storage.ts';
import { createNamespace } from './namespace.ts';
import type { Namespace } from './namespace.ts';

/** A node of a test: a namespace, an API server inside it, and agents that can be started and ended. */
export interface AgentLab {
  readonly namespace: Namespace;
  readonly directory: string;
  readonly api: FakeApi;
  /** Starts an agent that follows the API server, unless the arguments say otherwise. */
  start(...args: readonly string[]): AgentProcess;
  /** Everything in both tables of IPv4, without what changes by itself. */
  rules(): Promise<string>;
  /** Ends everything and removes the namespace. */
  remove(): Promise<void>;
}

/** The API server of the namespace, from outside. */
export interface FakeApi {
  readonly url: string;
  tell(order: ApiOrder): Promise<unknown>;
  set(...objects: readonly ApiObject[]): Promise<void>;
  get(url: string): Promise<{ readonly status: number; readonly body: string }>;
}

/** A `portwright run` in a process of its own. */
export interface AgentProcess {
  readonly pid: number;
  readonly output: () => string;
  readonly log: () => string;
  kill(signal: NodeJS.Signals): void;
  /** The exit code, or the signal. */
  readonly ended: Promise<number | string>;
}

/** Needs root, for the namespace: one that is there already, or a new one with this label. */
export async function createAgentLab(where: string | Namespace): Promise<AgentLab> {
  const bundled = await bundle();
  const namespace = typeof where === 'string' ? await createNamespace(where) : where;
  const directory = mkdtempSync(join(tmpdir(), 'pw-agent-'));
  const children = new Set<ChildProcess>();
  const spawnInside = (argv: readonly string[]): ChildProcess => {
    const [file = '', ...args] = [...namespace.prefix, ...argv];
    const env = { ...process.env, ...namespace.env, PORTWRIGHT_RUNTIME_DIR: join(directory, 'run'), NO_COLOR: '1' };
    const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  };
  const api = await startApi(spawnInside([process.execPath, bundled.fakeApi]));
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigFor(api.url));
  return {
    namespace,
    directory,
    api,
    start: (...args) => {
      const from = args.includes('-f') ? [] : ['--kubeconfig', kubeconfig];
      const node = ['--hostname-override', 'node-1'];
      return watched(spawnInside([process.execPath, bundled.program, 'run', ...from, ...node, ...args]));
    },
    rules: async () => {
      const nft = await namespace.exec('iptables-nft-save');
      return nft.stdout.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '');
    },
    remove: async () => {
      for (const child of children) child.kill('SIGKILL');
      await namespace.remove();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A configuration file for an agent that lets hardly any time pass between two syncs; gives its path. */
export function writeQuickConfiguration(
  { directory }: Pick<AgentLab, 'directory'>,
  fields: { readonly mode: 'iptables' | 'nftables'; readonly clusterCIDR: string },
): string {
  const path = join(directory, 'config.json');
  const configuration = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    ...fields,
    clientConnection: { kubeconfig: join(directory, 'kubeconfig') },
    iptables: { minSyncPeriod: '50ms' },
    nftables: { minSyncPeriod: '50ms' },
  };
  writeFileSync(path, JSON.stringify(configuration));
  return path;
}

function kubeconfigFor(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'lab',
    clusters: [{ name: 'lab', cluster: { server } }],
    users: [{ name: 'lab', user: {} }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
  });
}

function startApi(child: ChildProcess): Promise<FakeApi> {
  const waiting = new Map<number, (result: unknown) => void>();
  let count = 0;
  const tell = (order: ApiOrder): Promise<unknown> =>
    new Promise((resolve) => {
      count += 1;
      waiting.set(count, resolve);
      child.stdin?.write(`${JSON.stringify({ id: count, ...order })}\n`);
    });
  return new Promise((resolve, reject) => {
    let words = '';
    child.stderr?.on('data', (chunk: Buffer) => (words += String(chunk)));
    child.once('exit', () => {
      reject(new Error(`the fake API server ended: ${words}`));
    });
    waiting.set(0, (result) => {
      const { url } = result as { url: string };
      resolve({
        url,
        tell,
        set: async (...objects) => {
          await tell({ order: 'set', objects });
        },
        get: async (target) => (await tell({ order: 'get', url: target })) as { status: number; body: string },
      });
    });
    if (child.stdout === null) return;
    createInterface(child.stdout).on('line', (line) => {
      const { id, result } = JSON.parse(line) as { id: number; result: unknown };
      waiting.get(id)?.(result);
      waiting.delete(id);
    });
  });
}

function watched(child: ChildProcess): AgentProcess {
  let output = '';
  let log = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += String(chunk)));
  child.stderr?.on('data', (chunk: Buffer) => (log += String(chunk)));
  return {
    pid: child.pid ?? 0,
    output: () => output,
    log: () => log,
    kill: (signal) => child.kill(signal),
    ended: new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve(code ?? signal ?? 'unknown');
      });
    }),
  };
}

/** Waits until the condition holds; fails with what `explain` says after a generous time. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  explain: () => string = () => '',
  withinMs = 20_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  throw new Error(`did not happen: ${what}\n${explain()}`);
}
