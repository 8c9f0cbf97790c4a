import { classify, ownLockExitCode, type LoadFailure } from './classify.ts';
import type { Committer } from './committer.ts';
import { LoadError } from './errors.ts';
import { lockHolder } from './lock-holder.ts';
import type { Run, RunResult, Wrapper } from './run.ts';
import type { RuntimeDirectory } from './runtime-directory.ts';

/** What loading needs: a way to run, a place for scripts and our lock, and the name we commit under. */
export interface LoadEffects {
  readonly run: Run;
  readonly directory: RuntimeDirectory;
  readonly committer: Committer;
}

/** A tool that takes a script file as its last argument. */
export interface Applier {
  readonly tool: string;
  readonly args: readonly string[];
}

const ownLockSeconds = 10;

/** Gives a script to its tool as a whole file, alone on this node, and dying with us. Throws LoadError, RuntimeFileError. */
export async function load(effects: LoadEffects, applier: Applier, script: string): Promise<void> {
  const file = await effects.directory.write(`${applier.tool}.rules`, script);
  try {
    const command = await effects.committer.command(applier.tool);
    const result = await effects.run(command.tool, [...command.args, ...applier.args, file.path], {
      through: dieWithUsAndQueue(`${effects.directory.path}/lock`),
      timeoutMs: deadlineMs(script),
    });
    if (result.exitCode !== 0) throw new LoadError(await failure(applier.tool, result, script, effects.directory));
  } finally {
    await file.remove();
  }
}

/**
 * setpriv must stand outside: it marks the one process that flock and then the tool become. The other way
 * round the tool would outlive us and commit rules that our successor has already replaced.
 */
function dieWithUsAndQueue(lock: string): readonly Wrapper[] {
  return [
    ['setpriv', '--pdeathsig', 'KILL'],
    ['flock', '--no-fork', '-E', String(ownLockExitCode), '-w', String(ownLockSeconds), lock],
  ];
}

/** 30 s and 5 µs a line for the tool, besides the time it may wait for our lock. */
function deadlineMs(script: string): number {
  let lines = 0;
  for (let at = script.indexOf('\n'); at !== -1; at = script.indexOf('\n', at + 1)) lines += 1;
  return 30_000 + Math.ceil(lines * 0.005) + ownLockSeconds * 1_000;
}

async function failure(
  tool: string,
  result: RunResult,
  script: string,
  directory: RuntimeDirectory,
): Promise<LoadFailure> {
  if (result.isMissing) return environment(result.stderr);
  const classified = classify({ tool, script, ...result });
  if (classified.kind !== 'lock-held') return classified;
  const lock = result.exitCode === ownLockExitCode ? `${directory.path}/lock` : xtablesLock(result.stderr);
  const holder = await lockHolder(lock);
  if (holder === undefined) return classified;
  return { ...classified, message: `${classified.message} ${lock} is held by process ${holder.pid} (${holder.name}).` };
}

function environment(message: string): LoadFailure {
  return { kind: 'environment', message, stderr: message };
}

function xtablesLock(stderr: string): string {
  return /lock (\/\S+):/.exec(stderr)?.[1] ?? '/run/xtables.lock';
}
