import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeFileError } from './errors.ts';
import type { RuntimeDirectory } from './runtime-directory.ts';

/** A file that no directory names: it is gone with the last process that has it open. */
export interface NamelessFile {
  readonly fd: number;
  /** All that was written to it. Throws RuntimeFileError where there was no room for it. */
  text(): Promise<string>;
  close(): Promise<void>;
}

let counter = 0;

/** Throws RuntimeFileError. */
export async function openNamelessFile(directory: Pick<RuntimeDirectory, 'path' | 'ensure'>): Promise<NamelessFile> {
  await directory.ensure();
  // A name that is swept away later, should we end before it is taken off.
  const path = join(directory.path, `script-${process.pid}-nameless-${counter++}`);
  try {
    const file = await open(path, 'wx+', 0o600);
    await rm(path);
    return {
      fd: file.fd,
      text: async () => {
        const { size } = await file.stat();
        await refuseFullDisk(file, size, directory.path);
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

const page = Buffer.alloc(4_096);

/** The tools exit 0 where their output finds no room, which then looks as if there were fewer rules, or none. */
async function refuseFullDisk(file: FileHandle, size: number, directory: string): Promise<void> {
  try {
    const { bytesWritten } = await file.write(page, 0, page.length, size);
    if (bytesWritten < page.length) throw new Error(`there is no room for more than ${size + bytesWritten} bytes`);
  } catch (error) {
    const advice = 'nothing is concluded from it; make room there or name another runtime directory';
    throw new RuntimeFileError(
      `what a tool printed does not fit into ${directory}: ${(error as Error).message}; ${advice}`,
      error,
    );
  }
}
