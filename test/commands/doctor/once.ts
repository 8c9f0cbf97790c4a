// Runs doctor as its own process, for rights other than the test's.
import { doctor } from '../../../src/commands/doctor/doctor.ts';

process.exitCode = await doctor(
  {
    filenames: [],
    recursive: false,
    allowEmpty: false,
    keepGoing: false,
    dryRun: false,
    output: process.argv[2] ?? 'json',
    flags: {},
    own: {},
    words: [],
  },
  {
    print: (text) => process.stdout.write(text),
    say: (line) => process.stderr.write(`${line}\n`),
    hasColour: false,
    env: process.env,
    signal: new AbortController().signal,
    readStdin: () => Promise.resolve(new Uint8Array()),
  },
);
