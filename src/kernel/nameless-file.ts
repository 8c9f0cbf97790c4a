import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeFileError } from './errors.ts';
import type { RuntimeDirectory } from './runtime-directory.ts';

/** A file that no directory names: it is gone with the last process that has it open. */
export interface NamelessFile {
  readonly fd: number;
  /** All that was written to it. */
  text(): Promise<string>;
  close(): Promise<void>;
}

let counter = 0;

/** Throws RuntimeFileError. */
export async function openNamelessFile(directory: Pick<RuntimeDirectory, 'path'>): Promise<NamelessFile> {
  // A name that is swept away later, should we end before it is taken off.
  const path = join(directory.path, `script-${process.pid}-nameless-${counter++}`);
  try {
    const file = await open(path, 'wx+', 0o600);
    await rm(path);
    return {
      fd: file.fd,
      text: async () => {
        const { size } = await file.stat();
        // Whoever wrote left the position at the end.
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(size), { position: 0 });
        return buffer.toString('utf8', 0, bytesRead);
      },
      close: () => file.close(),
    };
  } catch (error) {
    throw new RuntimeFileError(`cannot make a file in ${directory.path}: ${(error as Error).message}`, error);
  }
}
