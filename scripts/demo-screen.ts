import { spawn } from 'node:child_process';

import pc from 'picocolors';

import type { Namespace } from '../test/support/namespace.ts';

const hasColour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb';
const { bold, cyan, dim, green } = pc.createColors(hasColour);
const startedAt = performance.now();
let steps = 0;

/** A numbered headline, with the seconds since the start. */
export function step(title: string): void {
  steps += 1;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  process.stdout.write(`\n${bold(cyan(`${String(steps).padStart(2)}. ${title}`))} ${dim(`(${seconds} s)`)}\n`);
}

/** A line of explanation. */
export function tell(text: string): void {
  process.stdout.write(`    ${text}\n`);
}

/** A line that says that something was as it should be. */
export function approve(text: string): void {
  tell(`${green('ok')}  ${text}`);
}

/** How to run a command, and how to show it. */
export interface Shown {
  readonly namespace: Namespace;
  /** What the person who watches would type. */
  readonly line: string;
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are no surprise. */
  readonly exitCodes: readonly number[];
}

/** Shows a command and runs it with its output on this terminal. Another exit code than expected throws. */
export async function run({ namespace, line, argv, env = {}, exitCodes }: Shown): Promise<void> {
  process.stdout.write(`${bold('    $')} ${bold(line)}\n`);
  const [file = '', ...args] = [...namespace.prefix, ...argv];
  const child = spawn(file, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...namespace.env, ...env },
  });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  if (exitCode === null || !exitCodes.includes(exitCode)) {
    throw new Error(`${line}: exit code ${String(exitCode)}, expected ${exitCodes.join(' or ')}`);
  }
  if (exitCode !== 0) tell(dim(`exit code ${exitCode}`));
}
