import type { Problem } from '../source/problem.ts';

/** The command line asks for something that cannot be done; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Objects in the input that the API server would refuse, or that cannot be read; exit code 2. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(`${problems.length} objects or files cannot be used`);
    this.problems = problems;
  }
}

/** Something outside, such as a tool or the kernel, did not do its part; exit code 2. */
export class TroubleError extends Error {
  override readonly name = 'TroubleError';
}
