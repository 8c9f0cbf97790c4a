/** The configuration cannot be used; everything that is wrong with it, at once. The program ends with 2. */
export class ConfigError extends Error {
  readonly exitCode = 2;
  /** One sentence each: where, what was seen, what is expected. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`configuration cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}
