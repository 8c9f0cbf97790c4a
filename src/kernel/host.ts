import { createCommitter, type Committer } from './committer.ts';
import { filesThrough, ownFiles, type Files } from './files.ts';
import { createFollow, type Follow } from './follow.ts';
import { createRun, type CommandOptions, type Run, type Wrapper } from './run.ts';
import { openRuntimeDirectory, type RuntimeDirectory } from './runtime-directory.ts';
import { createToolPaths, type ToolPaths } from './tool-paths.ts';

/** All effects on the node whose kernel we program; each part of kernel/ takes of it what it needs. */
export interface Host {
  readonly paths: ToolPaths;
  readonly run: Run;
  readonly follow: Follow;
  readonly files: Files;
  readonly directory: RuntimeDirectory;
  readonly committer: Committer;
}

export interface HostOptions {
  /** See `openRuntimeDirectory` for the default. */
  readonly runtimeDirectory?: string;
  /** See `CommandOptions`. */
  readonly prefix?: readonly Wrapper[];
  /** See `CommandOptions`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Throws RuntimeFileError when there is no place for scripts. Tools are looked for when they are used. */
export async function openHost(options: HostOptions = {}): Promise<Host> {
  const paths = createToolPaths(process.env['PATH']);
  const commandOptions: CommandOptions = { paths, prefix: options.prefix ?? [], env: options.env ?? {} };
  const run = createRun(commandOptions);
  const directory = await openRuntimeDirectory(options.runtimeDirectory);
  return {
    paths,
    run,
    follow: createFollow(commandOptions),
    // Through a tool only where a prefix leads to another namespace: a process costs milliseconds.
    files: options.prefix === undefined || options.prefix.length === 0 ? ownFiles : filesThrough(run),
    directory,
    committer: createCommitter(directory, paths),
  };
}
