import type { Config } from '../../config/config.ts';
import type { Files } from '../../kernel/files.ts';
import type { RunningProcess } from '../../kernel/processes.ts';
import type { Run } from '../../kernel/run.ts';
import type { RuntimeDirectory } from '../../kernel/runtime-directory.ts';

/** How bad it is: `problem` loses packets or keeps us from working, `warning` may. */
export type Level = 'ok' | 'warning' | 'problem';

/** One thing that was looked at. */
export interface Finding {
  /** A stable word for programs. */
  readonly code: string;
  readonly level: Level;
  /** What was seen. */
  readonly what: string;
  readonly means: string;
  readonly do: string;
  /** The command that shows it. */
  readonly show?: string;
}

/** All that the checks look with; nothing in it changes this host. */
export interface Sight {
  readonly config: Config;
  readonly run: Run;
  readonly files: Files;
  readonly directory: RuntimeDirectory;
  readonly processes: readonly RunningProcess[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Looks at one matter. Never throws: what cannot be seen is a finding. */
export type Check = (sight: Sight) => Promise<readonly Finding[]>;

/** For what is as it should be. */
export function fine(code: string, what: string, means = 'as it should be'): Finding {
  return { code, level: 'ok', what, means, do: 'nothing' };
}

/** For what we may not or cannot look at. */
export function unseen(code: string, what: string, why: string): Finding {
  return {
    code,
    level: 'warning',
    what: `${what} could not be seen: ${firstLine(why)}`,
    means: 'nothing is known about it, good or bad',
    do: why.includes('not installed') ? 'install the tool' : 'run doctor as root on the node itself',
  };
}

/** The text of a kernel file without its end of line; absent too when it cannot be read. */
export async function textOf(files: Sight['files'], path: string): Promise<string | undefined> {
  const text = await files.read(path).catch(() => undefined);
  return text?.trim();
}

function firstLine(text: string): string {
  return (
    text
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.trim() ?? 'no reason given'
  );
}
