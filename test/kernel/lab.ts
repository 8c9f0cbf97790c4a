import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCommitter, type Committer } from '../../src/kernel/committer.ts';
import { createFollow, type Follow } from '../../src/kernel/follow.ts';
import { filesThrough, type Files } from '../../src/kernel/files.ts';
import { createRun, type CommandOptions, type Run, type Wrapper } from '../../src/kernel/run.ts';
import { openRuntimeDirectory, type RuntimeDirectory } from '../../src/kernel/runtime-directory.ts';
import { createToolPaths } from '../../src/kernel/tool-paths.ts';
import { createNamespace, type Namespace } from '../support/namespace.ts';

/** A namespace with our own effects aimed at it. */
export interface KernelLab {
  readonly namespace: Namespace;
  readonly options: CommandOptions;
  readonly run: Run;
  readonly files: Files;
  readonly follow: Follow;
  readonly directory: RuntimeDirectory;
  readonly committer: Committer;
  remove(): Promise<void>;
}

export async function createKernelLab(label: string): Promise<KernelLab> {
  const namespace = await createNamespace(label);
  const [tool, ...args] = namespace.prefix;
  const prefix: readonly Wrapper[] = [[tool!, ...args]];
  const options = { paths: createToolPaths(process.env['PATH']), prefix, env: namespace.env };
  const run = createRun(options);
  const path = await mkdtemp(join(tmpdir(), 'pw-kernel-'));
  const directory = await openRuntimeDirectory(path);
  return {
    namespace,
    options,
    run,
    files: filesThrough(run),
    follow: createFollow(options),
    directory,
    committer: createCommitter(directory, options.paths),
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
