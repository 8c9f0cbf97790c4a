import { readdir, readFile } from 'node:fs/promises';

/** A running process, as far as everybody may see it. */
export interface RunningProcess {
  readonly pid: number;
  /** As the kernel names it, at most 15 characters. */
  readonly name: string;
  readonly words: readonly string[];
}

/** All processes of our PID namespace. Never throws; those that end meanwhile are left out. */
export async function runningProcesses(): Promise<readonly RunningProcess[]> {
  const entries = await readdir('/proc').catch(() => []);
  const found = entries.filter((name) => /^\d+$/.test(name)).map(processOf);
  return (await Promise.all(found)).flat();
}

async function processOf(pid: string): Promise<RunningProcess[]> {
  try {
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8')).trim();
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').filter((word) => word !== '');
    return [{ pid: Number(pid), name, words }];
  } catch {
    return [];
  }
}
