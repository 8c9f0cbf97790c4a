import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from './problem.ts';
import type { ManifestText } from './yaml.ts';

export interface ReadingOptions {
  /** Look into the subfolders of a folder, too. */
  readonly recursive: boolean;
  /** All of standard input, for `-`. */
  readonly readStdin: () => Promise<Uint8Array>;
}

export interface Texts {
  readonly texts: readonly ManifestText[];
  readonly problems: readonly Problem[];
}

/** Larger than any sensible input, small enough to hold in memory several times. */
const maxBytes = 64 * 1024 * 1024;

/**
 * Reads manifests from files, folders and standard input (`-`). Of a folder `*.yaml`, `*.yml` and `*.json` in the
 * order of their names, no hidden or backup files. Never throws for what it cannot read: that is a problem.
 */
export async function readTexts(filenames: readonly string[], options: ReadingOptions): Promise<Texts> {
  const texts: ManifestText[] = [];
  const problems: Problem[] = [];
  for (const [index, file] of filenames.entries()) {
    if (file === '-' && filenames.indexOf('-') < index) {
      problems.push({ file, message: 'standard input was given twice, but can be read once only' });
      continue;
    }
    const read = file === '-' ? [await readInput(options.readStdin)] : await readPath(file, options.recursive);
    for (const result of read) {
      if ('text' in result) texts.push(result);
      else problems.push(result);
    }
  }
  return { texts, problems };
}

/**
 * A text that stays the same while no file that `readTexts` would read was written, replaced, added or removed. Costs a
 * fraction of reading them.
 */
export async function stampOf(filenames: readonly string[], recursive: boolean): Promise<string> {
  const hash = createHash('sha256');
  for (const path of filenames) {
    for (const found of await find(path, recursive)) {
      if (!('stats' in found)) hash.update(JSON.stringify(found));
      else {
        const { dev, ino, size, mtimeMs, ctimeMs } = found.stats;
        hash.update(JSON.stringify([found.file, dev, ino, size, mtimeMs, ctimeMs]));
      }
    }
  }
  return hash.digest('base64');
}

type Result = ManifestText | Problem;

async function readInput(readStdin: () => Promise<Uint8Array>): Promise<Result> {
  try {
    return textOf('-', Buffer.from(await readStdin()));
  } catch (error) {
    return unreadable('-', error);
  }
}

async function readPath(path: string, recursive: boolean): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const found of await find(path, recursive)) {
    results.push('stats' in found ? await readFile(found.file) : found);
  }
  return results;
}

/** Something to read, or why it cannot be. */
type Found = { readonly file: string; readonly stats: Stats } | Problem;

/** What a path means: the file itself, or those in the folder. */
async function find(path: string, recursive: boolean): Promise<readonly Found[]> {
  const found = await look(path);
  return isFolder(found) ? await findIn(path, recursive) : [found];
}

async function look(file: string): Promise<Found> {
  try {
    return { file, stats: await stat(file) };
  } catch (error) {
    return unreadable(file, error);
  }
}

function isFolder(found: Found): boolean {
  return 'stats' in found && found.stats.isDirectory();
}

async function findIn(folder: string, recursive: boolean): Promise<readonly Found[]> {
  const found: Found[] = [];
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
      if (entry.name.startsWith('.')) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (recursive) found.push(...(await findIn(path, recursive)));
      } else if (/\.(?:yaml|yml|json)$/.test(entry.name)) {
        const one = await look(path);
        // A link may lead to a folder, even in a circle: what it leads to is not ours to read.
        if (!isFolder(one)) found.push(one);
      }
    }
    return found;
  } catch (error) {
    return [unreadable(folder, error)];
  }
}

async function readFile(path: string): Promise<Result> {
  try {
    return await readRegular(path);
  } catch (error) {
    return unreadable(path, error);
  }
}

async function readRegular(path: string): Promise<Result> {
  // A pipe would keep us waiting for a writer: it is opened without, then refused.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) {
      const message = 'is not a regular file';
      return { file: path, message, hint: 'give - to read standard input, for instance from a pipe' };
    }
    if (found.size > maxBytes) return tooLarge(path, found.size);
    return textOf(path, await handle.readFile());
  } finally {
    await handle.close();
  }
}

function textOf(file: string, bytes: Buffer): Result {
  if (bytes.length > maxBytes) return tooLarge(file, bytes.length);
  const text = bytes.toString('utf8');
  if (!isUtf8(bytes)) {
    const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    const message = isUtf16 ? 'is UTF-16 text; UTF-8 was expected' : 'is not valid UTF-8 text';
    return { file, line: lineOf(text, '\uFFFD'), message };
  }
  if (text.includes('\0'))
    return { file, line: lineOf(text, '\0'), message: 'holds a NUL character, so it is no text' };
  return { file, text };
}

function lineOf(text: string, character: string): number {
  return text.slice(0, text.indexOf(character)).split('\n').length;
}

function tooLarge(file: string, bytes: number): Problem {
  const mebibytes = Math.ceil(bytes / 1024 / 1024);
  return { file, message: `is too large: ${mebibytes} MiB, at most ${maxBytes / 1024 / 1024} MiB are read` };
}

function unreadable(file: string, error: unknown): Problem {
  if (!(error instanceof Error)) throw error;
  if (!/^https?:\/\//.test(file)) return { file, message: readingReason(error) };
  const hint = 'give - and let another program fetch it: curl -sSfL URL | portwright COMMAND -f -';
  return { file, message: 'is an address of the web, and no file', hint };
}

/** Why a file cannot be read, without the words of system calls. */
export function readingReason(error: Error): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return reasons.get(code) ?? message;
}

const reasons = new Map([
  ['ENOENT', 'no such file or directory'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'is a directory'],
  ['ENOTDIR', 'no such file or directory'],
  ['ELOOP', 'is a link that leads in a circle'],
  ['ENXIO', 'is not a regular file'],
]);
