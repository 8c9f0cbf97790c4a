/** One line of a benchmark's table: what was measured, the figure, and the bar it is held against. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly bar: string;
  readonly holds: boolean;
}

/** A ratio held against a bar that it must not exceed. */
export function ratioRow(what: string, ratio: number, bar: number, detail: string): Row {
  return {
    what,
    figure: `${ratio.toPrecision(2)} (${detail})`,
    bar: `≤ ${bar.toPrecision(2)}`,
    holds: ratio <= bar,
  };
}

/** A markdown table. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ what, figure, bar, holds }) => `| ${what} | ${figure} | ${bar} | ${holds ? 'yes' : '**no**'} |`,
  );
  return ['| what | measured | bar | holds |', '|---|---|---|---|', ...lines, ''].join('\n');
}

/** The smallest of several runs, in milliseconds of CPU of this process: the machine may be busy with other things. */
export function leastCpuMs(runs: number, work: () => unknown): number {
  return Math.min(
    ...Array.from({ length: runs }, () => {
      const before = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    }),
  );
}

/** The smallest wall time of several runs, in milliseconds. */
export async function leastMs(runs: number, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return Math.min(...times);
}
