import { execa } from 'execa';
import { commandLine, toolDirectory, toolEnvironment, type CommandOptions } from './run.ts';
import { startChild } from './start.ts';
import { missingTool } from './tool-paths.ts';

/** A tool that runs until it is stopped and tells something line by line. */
export interface Following {
  /** Absent when it could not be started. */
  readonly pid?: number;
  /** Ends the tool; `onEnd` is not called for it. */
  stop(): void;
}

/** What becomes of the lines. */
export interface FollowHandlers {
  /** Without its newline. Lines of more than 64 KiB are cut. */
  onLine(line: string): void;
  /** The tool ended by itself, or never started. */
  onEnd(reason: string): void;
}

/** Starts a long-lived tool. It dies with us, even when we are killed. */
export type Follow = (tool: string, args: readonly string[], handlers: FollowHandlers) => Following;

const maxLineLength = 65_536;
const maxWords = 4_096;

/** The only place that starts long-lived processes. */
export function createFollow(options: CommandOptions): Follow {
  return (tool, args, handlers) => {
    const command = commandLine(options, tool, args, [['setpriv', '--pdeathsig', 'KILL']]);
    if ('missing' in command) {
      return neverStarted(handlers, Promise.resolve(missingTool(options.paths, command.missing)));
    }
    const [file, ...rest] = command.argv;
    const started = startChild(() =>
      execa(file, rest, {
        reject: false,
        cwd: toolDirectory,
        buffer: false,
        stdin: 'ignore',
        env: toolEnvironment(options),
        forceKillAfterDelay: 1_000,
      }),
    );
    if ('failure' in started) {
      return neverStarted(
        handlers,
        started.failure.then((reason) => `${tool} cannot be started: ${reason}`),
      );
    }
    const { child } = started;
    let isStopped = false;
    let words = '';
    eachLine(child.stdout, (line) => {
      if (!isStopped) handlers.onLine(line);
    });
    eachLine(child.stderr, (line) => {
      words = `${words}${line}\n`.slice(-maxWords);
    });
    void child.then((result) => {
      if (isStopped) return;
      const how = result.signal === undefined ? `exit code ${String(result.exitCode)}` : result.signal;
      handlers.onEnd(`${tool} ended (${how}): ${words.trim() || 'no message'}`);
    });
    return {
      ...(child.pid === undefined ? {} : { pid: child.pid }),
      stop: () => {
        isStopped = true;
        child.kill('SIGTERM');
      },
    };
  };
}

function neverStarted(handlers: FollowHandlers, reason: Promise<string>): Following {
  let isStopped = false;
  void reason.then((words) => {
    if (!isStopped) handlers.onEnd(words);
  });
  return {
    stop: () => {
      isStopped = true;
    },
  };
}

interface TextStream {
  setEncoding(encoding: 'utf8'): unknown;
  on(event: 'data', listener: (chunk: string) => void): unknown;
  on(event: 'error', listener: () => void): unknown;
}

function eachLine(stream: TextStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  // The end of the process tells what there is to tell.
  stream.on('error', () => undefined);
  stream.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, maxLineLength);
    for (const line of lines) onLine(line.slice(0, maxLineLength));
  });
}
