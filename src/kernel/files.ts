import { readFile, writeFile } from 'node:fs/promises';
import type { Run } from './run.ts';

/** Files of the kernel (/proc, /sys), as the network namespace sees them that our tools work in. */
export interface Files {
  /** The text; absent when there is no such file. Throws when it is there and cannot be read. */
  read(path: string): Promise<string | undefined>;
  /** Throws with the system's words. */
  write(path: string, text: string): Promise<void>;
}

/** The files of our own namespace. */
export const ownFiles: Files = {
  read: async (path) => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (isAbsent((error as Error).message)) return undefined;
      throw error;
    }
  },
  write: (path, text) => writeFile(path, text),
};

/** The files of the namespace that `run` is aimed at by its prefix. */
export function filesThrough(run: Run): Files {
  return {
    read: async (path) => {
      const result = await run('cat', [path]);
      if (result.exitCode === 0) return result.stdout;
      if (isAbsent(result.stderr)) return undefined;
      throw new Error(result.stderr.trim());
    },
    write: async (path, text) => {
      const result = await run('sh', ['-c', 'printf %s "$1" > "$2"', 'sh', text, path]);
      if (result.exitCode !== 0) throw new Error(result.stderr.trim());
    },
  };
}

function isAbsent(message: string): boolean {
  return /ENOENT|ENOTDIR|No such file or directory|Not a directory/.test(message);
}
