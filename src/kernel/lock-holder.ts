import { readFile, stat } from 'node:fs/promises';

/** A process that holds a lock. */
export interface LockHolder {
  readonly pid: number;
  readonly name: string;
}

/** Who holds an flock on the file, by /proc/locks; absent when nobody does or it is not in our PID namespace. */
export async function lockHolder(path: string): Promise<LockHolder | undefined> {
  try {
    const { ino } = await stat(path);
    const pid = holderOfInode(await readFile('/proc/locks', 'utf8'), ino);
    if (pid === undefined) return undefined;
    return { pid, name: (await readFile(`/proc/${pid}/comm`, 'utf8')).trim() };
  } catch {
    // Only the message is poorer for it.
    return undefined;
  }
}

/** Lines: `1: FLOCK  ADVISORY  WRITE 4711 00:17:1234 0 EOF`; those that wait have `->` after the number. */
function holderOfInode(locks: string, inode: number): number | undefined {
  for (const line of locks.split('\n')) {
    const [, type, , , pid, file] = line.split(/ +/);
    if (type === 'FLOCK' && file?.endsWith(`:${inode}`) === true && Number(pid) > 0) return Number(pid);
  }
  return undefined;
}
