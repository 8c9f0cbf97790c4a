import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openHost, type Host } from '../../src/kernel/host.ts';
import type { CommandOptions, Wrapper } from '../../src/kernel/run.ts';
import { createNamespace, type Namespace } from '../support/namespace.ts';

/** A namespace with our own effects aimed at it. */
export interface KernelLab extends Host {
  readonly namespace: Namespace;
  /** For a `run` that differs from the lab's. */
  readonly options: CommandOptions & { readonly prefix: readonly Wrapper[] };
  remove(): Promise<void>;
}

export async function createKernelLab(label: string): Promise<KernelLab> {
  const namespace = await createNamespace(label);
  const [tool, ...args] = namespace.prefix;
  const aim = { prefix: [[tool!, ...args]] satisfies Wrapper[], env: namespace.env };
  const path = await mkdtemp(join(tmpdir(), 'pw-kernel-'));
  const host = await openHost({ ...aim, runtimeDirectory: path });
  return {
    ...host,
    namespace,
    options: { ...aim, paths: host.paths },
    remove: async () => {
      await namespace.remove();
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** What `promise` was rejected with; fails when it was not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('this should have failed');
}

/** False too for a dead process that nobody has waited for. */
export async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tX');
  return !/^State:\t[XZ]/m.test(status);
}
