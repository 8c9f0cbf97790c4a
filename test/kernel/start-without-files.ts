// A process of its own that starts tools while it can open few files, or no more; prints what each start came to.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { execa } from 'execa';
import { createFollow } from '../../src/kernel/follow.ts';
import { createRun } from '../../src/kernel/run.ts';
import { startChild } from '../../src/kernel/start.ts';
import { createToolPaths } from '../../src/kernel/tool-paths.ts';

const paths = createToolPaths(undefined);
const run = createRun({ paths });
const follow = createFollow({ paths });
const taken: number[] = [];

const takeAll = () => {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // Not one more.
  }
};
const giveBack = (count: number) => {
  for (const descriptor of taken.splice(-count, count)) closeSync(descriptor);
};
const followed = (): Promise<string> =>
  new Promise((resolve) => {
    const lines: string[] = [];
    follow('echo', ['told'], {
      onLine: (line) => lines.push(line),
      onEnd: (reason) => {
        resolve([...lines, reason].join(', '));
      },
    });
  });

// What is opened at the first start stays open.
await followed();
execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=60:']);
takeAll();
const few: unknown[] = [];
for (let spare = 0; spare <= 10; spare += 1) {
  const { stdout, stderr } = await run('echo', ['done']);
  few.push({ stdout, stderr, followed: await followed() });
  giveBack(1);
}
const noneSuddenly: unknown[] = [];
for (let spare = 0; spare <= 5; spare += 1) {
  const started = startChild(() => {
    takeAll();
    giveBack(spare);
    return execa('echo', [], { reject: false });
  });
  noneSuddenly.push('failure' in started ? await started.failure : 'started');
  giveBack(10);
}
console.log(JSON.stringify({ few, noneSuddenly }));
