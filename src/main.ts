#!/usr/bin/env node
import { isatty } from 'node:tty';
import { runProgram } from './commands/program.ts';

const abort = new AbortController();
const isAgent = process.argv[2] === 'run';
// The handlers stay: without any of ours a library that tidies up after children would end the process by the signal.
for (const [signal, number] of [
  ['SIGTERM', 15],
  ['SIGINT', 2],
  ['SIGHUP', 1],
] as const) {
  process.on(signal, () => {
    // Asked a second time; or nothing to finish: a tool that still writes rules ends with us, each table old or new.
    if (abort.signal.aborted || !isAgent) process.exit(128 + number);
    abort.abort(signal);
  });
}
// Without a handler Node opens its debugger: to every process on the node that can reach 127.0.0.1.
process.on('SIGUSR1', () => undefined);
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads our output may stop before we do, as `head` does. A preview is then for nobody; an agent that
    // writes rules goes on without its log, and does as well where a disk is full for a while.
    if (error.code === 'EPIPE' || (isAgent && stream === process.stderr)) {
      if (isAgent && process.argv.includes('--dry-run') && stream === process.stdout) abort.abort('EPIPE');
      return;
    }
    if (process.exitCode !== 2 && stream === process.stdout) {
      process.stderr.write(`error: standard output: ${error.message}\n`);
    }
    process.exitCode = 2;
  });
}

// The exit code is set and not forced, so that what was printed reaches a pipe.
const exitCode = await runProgram(process.argv.slice(2), {
  print: (text) => process.stdout.write(text),
  say: (line) => process.stderr.write(`${line}\n`),
  hasColour: isatty(1) && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb',
  env: process.env,
  signal: abort.signal,
  readStdin: async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  },
});
process.exitCode ??= exitCode;
// What still runs for an agent that ends, for whatever reason, is not waited for: its successor would wait for us.
if (isAgent) setTimeout(() => process.exit(), 300).unref();
