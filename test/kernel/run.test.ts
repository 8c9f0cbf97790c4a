import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CommandError, isMissing } from '../../src/kernel/errors.ts';
import { createFollow } from '../../src/kernel/follow.ts';
import { openNamelessFile } from '../../src/kernel/nameless-file.ts';
import { createRun, type Run } from '../../src/kernel/run.ts';
import { createToolPaths } from '../../src/kernel/tool-paths.ts';

describe('running a tool', function () {
  this.timeout(30_000);
  let directory: string;
  let run: Run;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pw-run-'));
    run = createRun({ paths: createToolPaths(directory), env: { MARK: 'seen' } });
  });
  after(() => rm(directory, { recursive: true }));

  const shim = async (name: string, script: string) => {
    await writeFile(join(directory, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(directory, name), 0o755);
  };

  it('gives exit code, both outputs, duration and pid', async () => {
    await shim('speaks', 'echo out; echo err >&2; echo $$ >&2; exit 3');
    const result = await run('speaks', []);
    expect(result).to.include({
      exitCode: 3,
      stdout: 'out\n',
      isMissing: false,
      isTimedOut: false,
      isTruncated: false,
    });
    expect(result.stderr).to.equal(`err\n${String(result.pid)}\n`);
    expect(result.durationMs).to.be.greaterThan(0);
    expect(result.argv).to.deep.equal([join(directory, 'speaks')]);
  });

  it('passes arguments as they are, without a shell', async () => {
    await shim('arguments', 'printf "[%s]" "$@"');
    expect((await run('arguments', ['a b', '$(id)', '', '"'])).stdout).to.equal('[a b][$(id)][]["]');
  });

  it('speaks English and adds the given environment', async () => {
    await shim('environment', 'echo $LC_ALL $MARK');
    expect((await run('environment', [])).stdout).to.equal('C seen\n');
  });

  it('tells that no file can be opened for a tool, also when another thread takes the last ones', async () => {
    const program = join(import.meta.dirname, 'start-without-files.ts');
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', program]);
    const { few, noneSuddenly } = JSON.parse(stdout) as {
      readonly few: readonly Record<'stdout' | 'stderr' | 'followed', string>[];
      readonly noneSuddenly: readonly string[];
    };
    for (const { stderr, followed } of few.slice(0, 8)) {
      expect(stderr).to.match(/^EMFILE: too many open files/);
      expect(followed).to.match(/^echo cannot be started: EMFILE: too many open files/);
    }
    for (const { stdout, followed } of few.slice(8)) {
      expect(stdout).to.equal('done\n');
      expect(followed).to.match(/^told, echo ended \(exit code 0\)/);
    }
    expect(noneSuddenly).to.deep.equal(Array(6).fill('spawn echo EMFILE'));
  });

  it('says which tool is missing and where it was looked for', async () => {
    const result = await run('nosuchtool', ['-x']);
    expect(result.isMissing).to.equal(true);
    expect(result.stderr)
      .to.contain('nosuchtool: not installed; searched ')
      .and.to.contain(directory)
      .and.to.contain('/usr/sbin');
    expect(isMissing(new CommandError(result, 'reading'))).to.equal(true);
  });

  it('says nothing of a tool that never started to who does not wait for it any more', async () => {
    const reasons: string[] = [];
    const follow = createFollow({ paths: createToolPaths(directory) });
    follow('no-such-tool', [], { onLine: () => undefined, onEnd: (reason) => reasons.push(reason) }).stop();
    await new Promise((resolve) => setImmediate(resolve));
    expect(reasons).to.deep.equal([]);
  });

  it('says so too for a tool that another is started through', async () => {
    const result = await run('true', [], { through: [['nosuchwrapper']] });
    expect(result.isMissing).to.equal(true);
    expect(result.stderr).to.contain('nosuchwrapper');
  });

  it('finds a tool where it is now, however often it was run from elsewhere', async () => {
    const other = join(directory, 'other');
    await mkdir(other);
    const runEither = createRun({ paths: createToolPaths(`${directory}:${other}`) });
    await shim('moves', 'echo here');
    expect((await runEither('moves', [])).stdout).to.equal('here\n');
    await rename(join(directory, 'moves'), join(other, 'moves'));
    expect((await runEither('moves', [])).stdout).to.equal('here\n');
    await rm(join(other, 'moves'));
    expect(await runEither('moves', [])).to.include({ isMissing: true });
  });

  it('does not look in relative directories of PATH', () => {
    expect(createToolPaths('.:bin:/opt/x').searched[0]).to.equal('/opt/x');
  });

  it('ends a tool that hangs, and one that does not heed SIGTERM', async () => {
    await shim('hangs', 'exec sleep 600');
    await shim('deaf', 'trap "" TERM; while :; do :; done');
    const [hangs, deaf] = await Promise.all([
      run('hangs', [], { timeoutMs: 200 }),
      run('deaf', [], { timeoutMs: 200 }),
    ]);
    expect(hangs).to.include({ isTimedOut: true, signal: 'SIGTERM' });
    expect(deaf).to.include({ isTimedOut: true, signal: 'SIGKILL' });
  });

  it('does not wait for ever for a grandchild that holds the pipes', async () => {
    await shim('leaves', 'sleep 20 & echo $!');
    const result = await run('leaves', []);
    process.kill(Number(result.stdout), 'SIGKILL');
    expect(result.isTruncated).to.equal(true);
    expect(result.durationMs).to.be.lessThan(15_000);
  });

  it('ends the tool when it is cancelled', async () => {
    await shim('hangs', 'exec sleep 600');
    const controller = new AbortController();
    const running = run('hangs', [], { cancelSignal: controller.signal });
    controller.abort();
    expect((await running).exitCode).to.equal(undefined);
  });

  it('reports the signal of a tool that crashes', async () => {
    await shim('crashes', 'kill -SEGV $$');
    expect((await run('crashes', [])).signal).to.equal('SIGSEGV');
  });

  it('reports a file that cannot be executed as a value', async () => {
    await writeFile(join(directory, 'foreign'), '\x7fELF nonsense');
    await chmod(join(directory, 'foreign'), 0o755);
    const result = await run('foreign', []);
    expect(result.exitCode).to.not.equal(0);
    expect(result.stderr).to.not.equal('');
  });

  it('starts a tool also when the directory that we were started in is gone', async () => {
    const [before, gone] = [process.cwd(), join(directory, 'gone')];
    await mkdir(gone);
    process.chdir(gone);
    await rm(gone, { recursive: true });
    try {
      expect(await run('pwd', [])).to.include({ exitCode: 0, stdout: '/\n' });
    } finally {
      process.chdir(before);
    }
  });

  it('reads no input, so that a tool which ends early breaks nothing', async () => {
    await shim('reads', 'cat; echo end');
    expect((await run('reads', [])).stdout).to.equal('end\n');
  });

  it('lets a tool write to an open file', async () => {
    await shim('writes', 'echo one; echo two; echo err >&2');
    const file = await openNamelessFile({ path: directory, ensure: () => Promise.resolve() });
    try {
      const result = await run('writes', [], { stdoutFd: file.fd });
      expect(result).to.include({ exitCode: 0, stdout: '', stderr: 'err\n', isTruncated: false });
      expect(await file.text()).to.equal('one\ntwo\n');
      expect((await readdir(directory)).join()).not.to.contain('nameless');
    } finally {
      await file.close();
    }
  });

  it('keeps large output whole', async () => {
    await shim('large', 'head -c 30000000 /dev/zero | tr "\\0" x');
    const result = await run('large', []);
    expect(result.stdout.length).to.equal(30_000_000);
    expect(result.isTruncated).to.equal(false);
  });
});
