import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { RuntimeFileError } from './errors.ts';

/** A directory only we can read, on tmpfs where there is one, for scripts and the lock of our appliers. */
export interface RuntimeDirectory {
  readonly path: string;
  /** Makes it again where somebody took it away, as those do who tidy up /tmp. Throws RuntimeFileError. */
  ensure(): Promise<void>;
  /** Writes a script wholly or throws RuntimeFileError; a tool never sees a short one. Remove it after use. */
  write(name: string, text: string): Promise<ScriptFile>;
  /** The path of a link to a tool, under a name of ours; made if it is not there (any more) or leads elsewhere. */
  link(group: string, name: string, target: string): Promise<string>;
}

/** A script for one run of a tool. */
export interface ScriptFile {
  readonly path: string;
  /** Never throws: a file left behind is swept away at a later start. */
  remove(): Promise<void>;
}

const staleAfterMs = 600_000;
/** Not the process number alone: in a container it is that of the killed one before, whose scripts may lie there. */
const ourMark = `${process.pid}-${randomBytes(4).toString('hex')}`;
let counter = 0;

/** A name that no other file has, and that is swept away later when we cannot do it. */
export function scriptName(purpose: string): string {
  return `script-${ourMark}-${counter++}-${purpose}`;
}

/** Opens `path`, or the first that can be made of /run/portwright, $XDG_RUNTIME_DIR/portwright and one in the temporary directory. */
export async function openRuntimeDirectory(path?: string): Promise<RuntimeDirectory> {
  const directory = path === undefined ? await firstUsable(defaultPaths()) : await makePrivate(resolve(path));
  await sweep(directory);
  const ensure = async () => {
    await makePrivate(directory);
  };
  return {
    path: directory,
    ensure,
    write: async (name, text) => {
      await ensure();
      return writeWhole(join(directory, scriptName(name)), text);
    },
    link: async (group, name, target) => {
      await ensure();
      return makeLink(join(directory, group), name, target);
    },
  };
}

function defaultPaths(): readonly string[] {
  const user = process.getuid?.() ?? 0;
  const session = process.env['XDG_RUNTIME_DIR'];
  return [
    ...(user === 0 ? ['/run/portwright'] : []),
    ...(session === undefined || session === '' ? [] : [join(session, 'portwright')]),
    resolve(tmpdir(), `portwright-${user}`),
  ];
}

async function firstUsable(paths: readonly string[]): Promise<string> {
  const failures: unknown[] = [];
  for (const path of paths) {
    try {
      return await makePrivate(path);
    } catch (error) {
      failures.push(error);
    }
  }
  const reasons = failures.map((error) => (error as Error).message).join('; ');
  const advice = 'mount /run/portwright writable, best in memory, or name a directory by PORTWRIGHT_RUNTIME_DIR';
  throw new RuntimeFileError(`no private directory for scripts: ${reasons}; ${advice}`, failures[0]);
}

async function makePrivate(path: string): Promise<string> {
  try {
    await makeDirectory(path);
    const found = await lstat(path);
    const user = process.getuid?.() ?? found.uid;
    // Somebody else's directory, or a link to one, could swap a script between our writing and the tool's reading.
    if (!found.isDirectory() || found.uid !== user) {
      throw new Error(`it is not a directory of user ${user}; remove it or name another`);
    }
    // A volume is often open to all; its mode is not ours to change.
    if ((found.mode & 0o077) !== 0) return await makePrivate(join(path, 'portwright'));
    return path;
  } catch (error) {
    if (error instanceof RuntimeFileError) throw error;
    throw new RuntimeFileError(`cannot use the runtime directory ${path}: ${(error as Error).message}`, error);
  }
}

/** Without its parents: where one of them cannot hold a directory, as in /proc, Node would try for ever to make them. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** What a killed process left: a living one keeps a script for seconds, and makes a missing link again. */
async function sweep(directory: string): Promise<void> {
  const now = Date.now();
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && entry.name.startsWith('as-')) await sweep(path);
    else if (entry.name.startsWith('script-') || entry.isSymbolicLink()) {
      const found = await lstat(path).catch(() => undefined);
      if (found !== undefined && now - found.mtimeMs > staleAfterMs) await rm(path, { force: true });
    }
  }
}

async function writeWhole(path: string, text: string): Promise<ScriptFile> {
  const remove = () => rm(path, { force: true }).catch(() => undefined);
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      for (const piece of pieces(text)) await file.appendFile(piece, 'utf8');
      const { size } = await file.stat();
      const wanted = Buffer.byteLength(text, 'utf8');
      if (size !== wanted) throw new Error(`only ${size} of ${wanted} bytes were written`);
    } finally {
      await file.close();
    }
  } catch (error) {
    await remove();
    const bytes = Buffer.byteLength(text, 'utf8');
    const advice = 'no rule was touched; make room there or name another runtime directory';
    throw new RuntimeFileError(`cannot write ${bytes} bytes to ${path}: ${(error as Error).message}; ${advice}`, error);
  }
  return { path, remove };
}

/** Small ones, as those of a nameless file are. They end with lines, so that no character is cut in two. */
const pieceLength = 65_536;

function* pieces(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start + pieceLength) + 1 || text.length;
    yield text.slice(start, end);
    start = end;
  }
}

async function makeLink(directory: string, name: string, target: string): Promise<string> {
  const path = join(directory, name);
  try {
    await makeDirectory(directory);
    if ((await readlink(path).catch(() => undefined)) === target) return path;
    // In one step: a tool of the other family may just be started by it.
    const fresh = `${path}-${counter++}`;
    await symlink(target, fresh);
    await rename(fresh, path);
  } catch (error) {
    throw new RuntimeFileError(`cannot make the link ${path}: ${(error as Error).message}`, error);
  }
  return path;
}
