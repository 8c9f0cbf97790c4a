#!/usr/bin/env node
import { runProgram } from './commands/program.ts';

const abort = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    abort.abort(signal);
  });
}
// Whoever reads our output may stop before we do, as `head` does.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

// The exit code is set and not forced, so that what was printed reaches a pipe.
process.exitCode = await runProgram(process.argv.slice(2), {
  print: (text) => process.stdout.write(text),
  say: (line) => process.stderr.write(`${line}\n`),
  hasColour: process.stdout.isTTY && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb',
  env: process.env,
  signal: abort.signal,
  readStdin: async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  },
});
