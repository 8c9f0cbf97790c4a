import type { LoadFailure } from './classify.ts';
import { shortage } from './load-signs.ts';
import { rightsAdvice, rightsMissing } from './rights.ts';
import type { RunResult } from './run.ts';

/** A tool did not do what it was asked to; the message names tool, outcome and its own first words. */
export class CommandError extends Error {
  readonly result: RunResult;

  constructor(result: RunResult, what: string) {
    super(`${what}: ${outcome(result)}`);
    this.name = 'CommandError';
    this.result = result;
  }
}

/** A script was not loaded. What the kernel holds now: for nft the old rules, for iptables-restore those of each table up to the failing one. */
export class LoadError extends Error {
  readonly failure: LoadFailure;

  constructor(failure: LoadFailure) {
    super(failure.message);
    this.name = 'LoadError';
    this.failure = failure;
  }
}

/** The live rules could not be read as a whole; nothing may be concluded from what was read. */
export class ListError extends Error {
  /** The table that cannot be read; absent when it is all of them. */
  readonly table: string | undefined;

  constructor(message: string, table?: string) {
    super(message);
    this.name = 'ListError';
    this.table = table;
  }
}

/** A file of the runtime directory could not be made whole; no tool has seen it. */
export class RuntimeFileError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'RuntimeFileError';
  }
}

/** A kernel setting could not be read or set. */
export class SysctlError extends Error {
  readonly setting: string;
  readonly reason: 'missing' | 'read-only' | 'not-permitted' | 'refused' | 'ignored';

  constructor(setting: string, reason: SysctlError['reason'], message: string) {
    super(message);
    this.name = 'SysctlError';
    this.setting = setting;
    this.reason = reason;
  }
}

/** A tool is not installed. */
export function isMissing(error: unknown): boolean {
  return error instanceof CommandError && error.result.isMissing;
}

/** A tool that only reads or cleans up lacks a right. */
export function isForbidden(error: unknown): boolean {
  return error instanceof CommandError && rightsMissing.test(error.result.stderr);
}

/** The tool did not come to its end, or the host was short of memory or files: asked again it may say something else. */
export function isPassing({ isMissing, exitCode, stderr }: RunResult): boolean {
  return !isMissing && (exitCode === undefined || shortage.test(stderr));
}

/** Trying the same script again soon can help: somebody held a lock, or the tool was killed. */
export function isWorthRetry(error: unknown): boolean {
  return error instanceof LoadError && (error.failure.kind === 'lock-held' || error.failure.kind === 'killed');
}

/** The live rules are not what the script was planned against: read them again and plan anew. */
export function isConflict(error: unknown): boolean {
  return error instanceof LoadError && error.failure.kind === 'conflict';
}

/** The rules themselves are at fault; some Service of the script is guilty. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof LoadError)) return false;
  return ['refused-line', 'refused-commit', 'unsupported-feature'].includes(error.failure.kind);
}

function outcome(result: RunResult): string {
  if (result.isMissing) return result.stderr;
  if (result.isTimedOut) return `killed after ${Math.round(result.durationMs)} ms without an answer`;
  if (result.isTruncated) return 'more output than can be kept';
  const words = result.stderr.split('\n').find((line) => line.trim() !== '') ?? 'no message';
  if (result.signal !== undefined) return `ended by ${result.signal}: ${words}`;
  if (result.exitCode === undefined) return `could not be started: ${words}`;
  const advice = rightsMissing.test(words) ? `. ${rightsAdvice}` : '';
  return `exit code ${result.exitCode}: ${words}${advice}`;
}
