import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { RuntimeFileError } from './errors.ts';
import type { Printed } from './printed.ts';
import { scriptName, type RuntimeDirectory } from './runtime-directory.ts';

/** A file that no directory names: it is gone with the last process that has it open. */
export interface NamelessFile extends Printed {
  readonly fd: number;
  close(): Promise<void>;
}

/** Throws RuntimeFileError, and so does what is read from it where there was no room for all that was written. */
export async function openNamelessFile(directory: Pick<RuntimeDirectory, 'path' | 'ensure'>): Promise<NamelessFile> {
  await directory.ensure();
  try {
    const file = await openWithoutName(join(directory.path, scriptName('nameless')));
    let wholeSize: Promise<number> | undefined;
    const size = () => (wholeSize ??= sizeOfWhole(file, directory.path));
    return {
      fd: file.fd,
      text: async () => {
        let text = '';
        const decoder = new StringDecoder('utf8');
        for await (const bytes of piecesOf(file, await size())) text += decoder.write(bytes);
        return text + decoder.end();
      },
      pieces: async function* () {
        yield* wholeLines(file, await size());
      },
      close: () => file.close(),
    };
  } catch (error) {
    throw new RuntimeFileError(`cannot make a file in ${directory.path}: ${(error as Error).message}`, error);
  }
}

async function openWithoutName(path: string): Promise<FileHandle> {
  const file = await open(path, 'wx+', 0o600);
  try {
    // The name is one that is swept away later, should we end before it is taken off.
    await rm(path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function* wholeLines(file: FileHandle, size: number): AsyncGenerator<string> {
  let rest = '';
  for await (const bytes of piecesOf(file, size)) {
    const lines = rest + bytes.toString('latin1');
    const end = lines.lastIndexOf('\n') + 1;
    rest = lines.slice(end);
    if (end > 0) yield lines.slice(0, end);
  }
  if (rest !== '') yield rest;
}

/**
 * Small on purpose: once it has freed a buffer of megabytes, the C library takes smaller ones from a heap that it
 * hardly ever gives back, and the process stays larger by a tenth.
 */
const pieceBytes = 65_536;

/** One buffer that is filled again and again. Whoever was at the file last left its position at the end. */
async function* piecesOf(file: FileHandle, size: number): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(pieceBytes);
  for (let position = 0; position < size;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - position), position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

const page = Buffer.alloc(4_096);

/**
 * How many bytes were written. The tools exit 0 where their output finds no room, which then looks as if there were
 * fewer rules, or none; so there must be room for more.
 */
async function sizeOfWhole(file: FileHandle, directory: string): Promise<number> {
  const { size } = await file.stat();
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
  return size;
}
