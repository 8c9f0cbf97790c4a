import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { startChild } from './start.ts';
import { missingTool, type ToolPaths } from './tool-paths.ts';

/** How tools are started: shared by `createRun` and `createFollow`. */
export interface CommandOptions {
  readonly paths: ToolPaths;
  /** Put before every command, outermost first: `[['ip', 'netns', 'exec', NAME]]` aims all tools at a namespace. */
  readonly prefix?: readonly Wrapper[];
  /** Added to the environment of every tool, for instance `XTABLES_LOCKFILE`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A command that starts another one by exec, with its arguments up to the other's name. */
export type Wrapper = readonly [tool: string, ...args: string[]];

export interface RunOptions {
  /** After this SIGTERM, and two seconds later SIGKILL. Default 30 s. */
  readonly timeoutMs?: number;
  /** Commands that the tool is started through, outermost first, inside the prefix. */
  readonly through?: readonly Wrapper[];
  /** Added to the environment for this run. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the tool as a timeout does. */
  readonly cancelSignal?: AbortSignal;
  /** An open file that takes what the tool prints; `stdout` of the result is empty then. */
  readonly stdoutFd?: number;
}

/** How a run ended. A failure is a value here; see `CommandError` for the exception made of it. */
export interface RunResult {
  /** What was executed, with absolute paths. */
  readonly argv: readonly string[];
  /** Absent when a signal ended the tool, or when it never started. */
  readonly exitCode?: number;
  readonly signal?: string;
  readonly stdout: string;
  /** What the tool wrote, or why it could not be started. */
  readonly stderr: string;
  readonly durationMs: number;
  readonly pid?: number;
  /** The tool, or one it is started through, is not installed; `stderr` lists where it was looked for. */
  readonly isMissing: boolean;
  readonly isTimedOut: boolean;
  /** There was more output than is kept; what is there must not be taken for the whole. */
  readonly isTruncated: boolean;
}

/** Runs one tool to its end. Never throws for what the tool does. Nothing goes to its stdin. */
export type Run = (tool: string, args: readonly string[], options?: RunOptions) => Promise<RunResult>;

const defaultTimeoutMs = 30_000;
const killAfterMs = 2_000;
/** Somebody the tool left behind may hold its pipes open; so long we wait for their end. */
const pipeGraceMs = 2_000;
/** Near the longest string V8 makes (2^29 characters); 50,000 Services list in about 250 MB. */
const maxStdoutLength = 500_000_000;
const maxStderrLength = 4_000_000;

/** Always there; the directory that we were started in can be removed while we run, and no tool starts in it then. */
export const toolDirectory = '/';

/** The only place that starts short-lived processes. */
export function createRun(options: CommandOptions): Run {
  return async (tool, args, runOptions = {}) => {
    const command = commandLine(options, tool, args, runOptions.through ?? []);
    if ('missing' in command) {
      return neverStarted([tool, ...args], { stderr: missingTool(options.paths, command.missing), isMissing: true });
    }
    const [file, ...rest] = command.argv;
    const started = startChild(() =>
      execa(file, rest, {
        reject: false,
        cwd: toolDirectory,
        stdin: 'ignore',
        // execa passes any open file on; its types know the first of them.
        stdout: (runOptions.stdoutFd as 3 | undefined) ?? 'pipe',
        stripFinalNewline: false,
        env: toolEnvironment(options, runOptions.env),
        timeout: runOptions.timeoutMs ?? defaultTimeoutMs,
        forceKillAfterDelay: killAfterMs,
        maxBuffer: { stdout: maxStdoutLength, stderr: maxStderrLength },
        ...(runOptions.cancelSignal === undefined ? {} : { cancelSignal: runOptions.cancelSignal }),
      }),
    );
    if ('failure' in started) {
      return neverStarted(command.argv, { stderr: await started.failure, isMissing: false });
    }
    const { child } = started;
    const pipes = closePipesAfterExit(child);
    const result = await child;
    pipes.settle();
    return {
      argv: command.argv,
      ...(result.exitCode === undefined ? {} : { exitCode: result.exitCode }),
      ...(result.signal === undefined ? {} : { signal: result.signal }),
      stdout: result.stdout ?? '',
      stderr: result.exitCode === undefined && result.signal === undefined ? startFailure(result) : result.stderr,
      durationMs: result.durationMs,
      ...(child.pid === undefined ? {} : { pid: child.pid }),
      isMissing: false,
      isTimedOut: result.timedOut,
      isTruncated: result.isMaxBuffer || pipes.wereCut(),
    };
  };
}

/** The whole command with absolute paths, or the first tool of it that is not installed. */
export function commandLine(
  options: CommandOptions,
  tool: string,
  args: readonly string[],
  through: readonly Wrapper[],
): { readonly argv: readonly [string, ...string[]] } | { readonly missing: string } {
  const argv: string[] = [];
  for (const [name, ...rest] of [...(options.prefix ?? []), ...through, [tool, ...args] as const]) {
    const path = options.paths.find(name);
    if (path === undefined) return { missing: name };
    argv.push(path, ...rest);
  }
  const [file = '', ...rest] = argv;
  return { argv: [file, ...rest] };
}

/** Messages in English, whatever the host speaks, and helpers found where the tools are. */
export function toolEnvironment(
  options: CommandOptions,
  env: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return { LC_ALL: 'C', PATH: options.paths.searched.join(':'), ...options.env, ...env };
}

interface Pipes {
  settle(): void;
  wereCut(): boolean;
}

interface Child {
  once(event: 'exit', listener: () => void): unknown;
  readonly stdout: Readable | null;
  readonly stderr: Readable;
}

function closePipesAfterExit(child: Child): Pipes {
  let timer: NodeJS.Timeout | undefined;
  let isCut = false;
  child.once('exit', () => {
    timer = setTimeout(() => {
      isCut = true;
      child.stdout?.destroy();
      child.stderr.destroy();
    }, pipeGraceMs);
  });
  return {
    settle: () => {
      clearTimeout(timer);
    },
    wereCut: () => isCut,
  };
}

function startFailure(result: { readonly originalMessage?: string | undefined; readonly stderr: string }): string {
  return result.stderr === '' ? (result.originalMessage ?? 'could not be started') : result.stderr;
}

function neverStarted(argv: readonly string[], why: Pick<RunResult, 'stderr' | 'isMissing'>): RunResult {
  return { argv, ...why, stdout: '', durationMs: 0, isTimedOut: false, isTruncated: false };
}
