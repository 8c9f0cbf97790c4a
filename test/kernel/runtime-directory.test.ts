import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { RuntimeFileError } from '../../src/kernel/errors.ts';
import { openNamelessFile } from '../../src/kernel/nameless-file.ts';
import { openRuntimeDirectory } from '../../src/kernel/runtime-directory.ts';
import { rejection } from './lab.ts';

describe('the runtime directory', () => {
  let parent: string;

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'pw-runtime-'));
  });
  afterEach(() => rm(parent, { recursive: true }));

  for (const [what, text] of [
    ['of many lines', 'add table ip x # ä\n'.repeat(20_000)],
    ['of one long line', 'ä'.repeat(200_000)],
    ['of nothing', ''],
  ] as const) {
    it(`writes a script ${what} whole`, async () => {
      const directory = await openRuntimeDirectory(join(parent, 'b'));
      const script = await directory.write('nft', text);
      expect((await readFile(script.path, 'utf8')) === text).to.equal(true);
      await script.remove();
    });
  }

  it('is made private, and so are the scripts in it', async () => {
    const directory = await openRuntimeDirectory(join(parent, 'a'));
    const script = await directory.write('nft', 'add table ip x # ä\n');
    expect((await lstat(directory.path)).mode & 0o777).to.equal(0o700);
    expect((await lstat(script.path)).mode & 0o777).to.equal(0o600);
    expect(await readFile(script.path, 'utf8')).to.equal('add table ip x # ä\n');
    await script.remove();
    await script.remove();
    expect(await readdir(directory.path)).to.deep.equal([]);
  });

  it('is a private one inside a volume that is open to all, whose mode stays', async () => {
    await chmod(parent, 0o777);
    expect((await openRuntimeDirectory(parent)).path).to.equal(join(parent, 'portwright'));
    expect((await lstat(parent)).mode & 0o777).to.equal(0o777);
  });

  it('has a path that tools understand wherever they are started', async () => {
    const path = join(parent, 'a');
    expect((await openRuntimeDirectory(relative(process.cwd(), path))).path).to.equal(path);
  });

  it('is not a link that somebody laid', async () => {
    await mkdir(join(parent, 'theirs'));
    await symlink(join(parent, 'theirs'), join(parent, 'link'));
    const error = await rejection(openRuntimeDirectory(join(parent, 'link')));
    expect(error).to.be.instanceOf(RuntimeFileError);
    expect((error as Error).message).to.contain(join(parent, 'link'));
  });

  it('is refused at once where no directory can be made', async () => {
    for (const path of ['/proc/pw-runtime', join(parent, 'missing', 'a')]) {
      const error = await rejection(openRuntimeDirectory(path));
      expect(error).to.be.instanceOf(RuntimeFileError);
      expect((error as Error).message).to.contain(`${path}: ENOENT`);
    }
  });

  it('gives two scripts two files', async () => {
    const directory = await openRuntimeDirectory(join(parent, 'x'));
    const [one, two] = [await directory.write('nft', '1'), await directory.write('nft', '2')];
    expect(one.path).to.not.equal(two.path);
  });

  it('gives a script another file than a killed process of the same number did', async () => {
    const load = async (copy: string) => {
      // A copy of the module begins as a new process does, with nothing counted yet.
      const module = `../../src/kernel/runtime-directory.ts?${copy}`;
      return ((await import(module)) as { openRuntimeDirectory: typeof openRuntimeDirectory }).openRuntimeDirectory;
    };
    for (const copy of ['killed', 'restarted']) {
      const directory = await (await load(copy))(join(parent, 'x'));
      await directory.write('nft', copy);
    }
    expect(await readdir(join(parent, 'x'))).to.have.lengthOf(2);
  });

  it('is swept of what a killed process left, not of what is in use', async () => {
    const path = join(parent, 'x');
    const directory = await openRuntimeDirectory(path);
    const fresh = await directory.write('nft', '1');
    await writeFile(join(path, 'script-1-1-nft'), 'old');
    await utimes(join(path, 'script-1-1-nft'), 1, 1);
    await writeFile(join(path, 'lock'), '');
    await utimes(join(path, 'lock'), 1, 1);
    await openRuntimeDirectory(path);
    expect((await readdir(path)).toSorted()).to.deep.equal(['lock', fresh.path.slice(path.length + 1)]);
  });

  it('is made again where somebody took it away', async () => {
    const path = join(parent, 'a');
    const directory = await openRuntimeDirectory(path);
    for (const use of [
      () => directory.write('nft', '1'),
      () => directory.link('as-nft', 'ours', '/bin/true'),
      async () => (await openNamelessFile(directory)).close(),
    ]) {
      await rm(path, { recursive: true });
      await use();
      expect((await lstat(path)).mode & 0o777).to.equal(0o700);
    }
    await rm(path, { recursive: true });
    await symlink(tmpdir(), path);
    expect(await rejection(directory.write('nft', '1'))).to.be.instanceOf(RuntimeFileError);
  });

  it('holds no file open that it cannot take the name off', async () => {
    const directory = await openRuntimeDirectory(join(parent, 'a'));
    const open = async () => (await readdir('/proc/self/fd')).length;
    const [before, { rm: remove }] = [await open(), promises];
    promises.rm = () => Promise.reject(new Error('EIO: i/o error, unlink'));
    syncBuiltinESMExports();
    const error = await rejection(openNamelessFile(directory));
    promises.rm = remove;
    syncBuiltinESMExports();
    expect((error as Error).message).to.include('EIO');
    expect(await open()).to.equal(before);
  });

  it('has links that lead to where a tool is now', async () => {
    const directory = await openRuntimeDirectory(join(parent, 'a'));
    const path = await directory.link('as-nft', 'ours', '/bin/true');
    expect(await directory.link('as-nft', 'ours', '/bin/false')).to.equal(path);
    expect(await readlink(path)).to.equal('/bin/false');
    expect(await readdir(join(parent, 'a', 'as-nft'))).to.deep.equal(['ours']);
  });

  it('never leaves a short script where there is no room, and names the path', async () => {
    if (process.getuid?.() !== 0) throw new Error('this test mounts a small tmpfs: run it as root');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'pw-test', parent]);
    try {
      const directory = await openRuntimeDirectory(parent);
      const error = await rejection(directory.write('nft', 'x'.repeat(200_000)));
      expect(error).to.be.instanceOf(RuntimeFileError);
      expect((error as Error).message)
        .to.contain(`200000 bytes to ${parent}/script-`)
        .and.to.contain('ENOSPC');
      expect(await readdir(parent)).to.deep.equal([]);
    } finally {
      execFileSync('umount', [parent]);
    }
  });
});
