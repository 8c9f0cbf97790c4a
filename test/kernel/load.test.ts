import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { classify } from '../../src/kernel/classify.ts';
import type { LoadFailureKind } from '../../src/kernel/load-signs.ts';
import { createCommitter } from '../../src/kernel/committer.ts';
import { isConflict, isRefusal, isWorthRetry, LoadError } from '../../src/kernel/errors.ts';
import { createIptablesTools, type Variant } from '../../src/kernel/iptables-tools.ts';
import { load } from '../../src/kernel/load.ts';
import { createNftTool } from '../../src/kernel/nft-tool.ts';
import { createRun, type RunOptions, type Wrapper } from '../../src/kernel/run.ts';
import { createToolPaths } from '../../src/kernel/tool-paths.ts';
import { createKernelLab, isRunning, rejection, type KernelLab } from './lab.ts';

/** What the real tools say of scripts; loaded one after the other into a kernel that holds `prepared`. */
const prepared = '*nat\n:KUBE-A - [0:0]\n:KUBE-B - [0:0]\n-A KUBE-A -j KUBE-B\nCOMMIT\n';
const iptablesScripts: readonly [string, string[], Record<Variant, [LoadFailureKind, number?]>][] = [
  ['an unknown option', ['-A KUBE-A --bogus'], { nft: ['refused-line', 2], legacy: ['refused-line', 2] }],
  [
    'an unknown match',
    ['-A KUBE-A -m nosuch'],
    { nft: ['unsupported-feature', 2], legacy: ['unsupported-feature', 2] },
  ],
  ['a jump to a missing chain', ['-A KUBE-A -j KUBE-GONE'], { nft: ['conflict'], legacy: ['conflict', 2] }],
  ['a rule for a missing chain', ['-A KUBE-GONE -j RETURN'], { nft: ['conflict', 2], legacy: ['conflict', 2] }],
  ['a rule to delete that is gone', ['-D KUBE-B -j RETURN'], { nft: ['conflict', 2], legacy: ['conflict', 2] }],
  ['a place that is not there', ['-I KUBE-A 9 -j RETURN'], { nft: ['conflict', 2], legacy: ['conflict', 2] }],
  [
    'a rule the kernel refuses',
    ['-A POSTROUTING -j REDIRECT'],
    { nft: ['refused-line', 2], legacy: ['refused-commit'] },
  ],
  ['a chain in use', ['-X KUBE-B'], { nft: ['busy', 2], legacy: ['busy', 2] }],
  [
    'a circle',
    ['-A KUBE-B -j KUBE-A', '-A POSTROUTING -j KUBE-A'],
    { nft: ['internal', 3], legacy: ['refused-commit'] },
  ],
  ['a long chain name', [`:${'A'.repeat(29)} - [0:0]`], { nft: ['internal', 2], legacy: ['internal', 2] }],
  ['a bad port', ['-A KUBE-A -p tcp --dport 70000'], { nft: ['refused-line', 2], legacy: ['refused-line', 2] }],
];

const nftScripts: readonly [string, string, LoadFailureKind, number?][] = [
  ['a syntax error', 'add rule ip kube-proxy a\n', 'refused-line', 1],
  ['a missing chain', '\nadd rule ip kube-proxy gone accept\n', 'conflict', 2],
  ['an element that is gone', 'delete element ip kube-proxy m { 9.9.9.9 }\n', 'conflict', 1],
  ['an element that is there', 'add element ip kube-proxy m { 1.2.3.4 : drop }\n', 'conflict', 1],
  ['a chain in use', 'delete chain ip kube-proxy a\n', 'busy', 1],
  ['a bad port', 'add rule ip kube-proxy a tcp dport 70000 accept\n', 'refused-line', 1],
  ['a long comment', `add rule ip kube-proxy a accept comment "${'x'.repeat(140)}"\n`, 'refused-line', 1],
];

describe('loading', function () {
  this.timeout(60_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('load');
  });
  afterEach(() => lab.remove());

  const failure = async (promise: Promise<unknown>) => {
    const error = await rejection(promise);
    expect(error).to.be.instanceOf(LoadError);
    return error as LoadError;
  };

  /** Tools that are replaced by a shell script, found before the real ones. */
  const withShim = async (tool: string, script: string) => {
    const directory = join(lab.directory.path, 'shims');
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, tool), `#!/bin/sh\n${script}\n`);
    await chmod(join(directory, tool), 0o755);
    const paths = createToolPaths(`${directory}:${String(process.env['PATH'])}`);
    return { ...lab, run: createRun({ ...lab.options, paths }), committer: createCommitter(lab.directory, paths) };
  };

  for (const variant of ['nft', 'legacy'] satisfies Variant[]) {
    it(`tells what the real tools of the ${variant} variant mean`, async () => {
      const tools = createIptablesTools(lab, variant);
      await tools.load('IPv4', prepared);
      const before = await tools.list('IPv4');
      for (const [situation, lines, expected] of iptablesScripts) {
        const { failure: seen } = await failure(tools.load('IPv4', ['*nat', ...lines, 'COMMIT', ''].join('\n')));
        expect([situation, seen.kind, seen.line]).to.deep.equal([
          situation,
          expected[variant][0],
          expected[variant][1],
        ]);
      }
      const { failure: cut } = await failure(tools.load('IPv4', '*nat\n-A KUBE-B -j RETURN\n'));
      expect(cut.kind).to.equal('truncated');
      expect(rulesOf(await tools.list('IPv4'))).to.deep.equal(rulesOf(before));
    });
  }

  it('tells what the real nft means', async () => {
    const nft = createNftTool(lab);
    const setUp = ['table ip kube-proxy', 'chain ip kube-proxy a', 'map ip kube-proxy m { type ipv4_addr : verdict; }'];
    await nft.load(
      `${setUp.map((line) => `add ${line}`).join('\n')}\nadd element ip kube-proxy m { 1.2.3.4 : jump a }\n`,
    );
    const before = await nft.list('IPv4');
    for (const [situation, script, kind, line] of nftScripts) {
      const { failure: seen } = await failure(nft.load(script));
      expect([situation, seen.kind, seen.line]).to.deep.equal([situation, kind, line]);
    }
    expect(await nft.list('IPv4')).to.equal(before);
  });

  it('names who holds the xtables lock, and says that a retry helps', async () => {
    const lock = String(lab.namespace.env['XTABLES_LOCKFILE']);
    const holder = spawn('flock', ['--no-fork', lock, 'sleep', '60']);
    try {
      await new Promise((resolve) => setTimeout(resolve, 300));
      const error = await failure(createIptablesTools(lab, 'legacy').load('IPv4', prepared));
      expect(isWorthRetry(error)).to.equal(true);
      expect(error.message).to.contain(`${lock} is held by process ${String(holder.pid)} (sleep)`);
    } finally {
      holder.kill('SIGKILL');
    }
    await createIptablesTools(lab, 'legacy').load('IPv4', prepared);
  });

  it('waits for another applier of ours, so that two never write at once', async () => {
    const log = join(lab.directory.path, 'log');
    const slow = await withShim('nft', `echo start >>${log}; sleep 0.3; echo end >>${log}`);
    await Promise.all([1, 2, 3].map(() => createNftTool(slow).load('x\n')));
    expect(await readFile(log, 'utf8')).to.equal('start\nend\n'.repeat(3));
  });

  it('says so when the lock of our appliers stays held, and by whom', async () => {
    const holder = spawn('flock', ['--no-fork', `${lab.directory.path}/lock`, 'sleep', '60']);
    try {
      await new Promise((resolve) => setTimeout(resolve, 300));
      const run = (tool: string, args: readonly string[], options: RunOptions = {}) =>
        lab.run(tool, args, { ...options, through: options.through?.map(hurried) ?? [] });
      const error = await failure(createNftTool({ ...lab, run }).load('add table ip kube-proxy\n'));
      expect(error.failure.kind).to.equal('lock-held');
      expect(error.message).to.contain(`process ${String(holder.pid)} (sleep)`);
    } finally {
      holder.kill('SIGKILL');
    }
  });

  it('gives a tool 30 s, the wait for our lock, and 5 µs a line', async () => {
    const seen: RunOptions[] = [];
    const run = (_tool: string, _args: readonly string[], options: RunOptions = {}) => {
      seen.push(options);
      return lab.run('true', [], {});
    };
    await load({ ...lab, run }, { tool: 'nft', args: ['-f'] }, '#\n'.repeat(200_000));
    expect(seen[0]?.timeoutMs).to.equal(41_000);
    expect(seen[0]?.through?.map(([tool]) => tool)).to.deep.equal(['setpriv', 'flock']);
  });

  it('is worth a retry when the tool crashes', async () => {
    const error = await failure(createNftTool(await withShim('nft', 'kill -SEGV $$')).load('x\n'));
    expect(error.failure.kind).to.equal('killed');
    expect(isWorthRetry(error)).to.equal(true);
  });

  it('blames a missing tool on the host, never on a rule', async () => {
    const none = {
      searched: ['/nowhere'],
      find: (tool: string) => (tool === 'nft' ? undefined : lab.options.paths.find(tool)),
    };
    const run = createRun({ ...lab.options, paths: none });
    const error = await failure(
      createNftTool({ ...lab, run, committer: createCommitter(lab.directory, none) }).load('x\n'),
    );
    expect(error.failure.kind).to.equal('environment');
    expect(error.message).to.equal('nft: not installed; searched /nowhere; on Debian: apt-get install nftables');
    expect(isRefusal(error) || isConflict(error)).to.equal(false);
  });

  it('blames missing rights on the host, for every tool', async () => {
    const prefix: readonly Wrapper[] = [...lab.options.prefix, ['setpriv', '--bounding-set=-all', '--inh-caps=-all']];
    const weak = { ...lab, run: createRun({ ...lab.options, prefix }) };
    for (const attempt of [
      () => createNftTool(weak).load('add table ip kube-proxy\n'),
      () => createIptablesTools(weak, 'nft').load('IPv4', prepared),
      () => createIptablesTools(weak, 'legacy').load('IPv6', prepared),
    ]) {
      const error = await failure(attempt());
      expect(error.failure.kind, error.message).to.equal('environment');
      expect(error.failure.line).to.equal(undefined);
    }
  });

  it('blames a lock file that cannot be opened on the host', async () => {
    const run = createRun({ ...lab.options, env: { XTABLES_LOCKFILE: '/proc/nosuch/lock' } });
    const error = await failure(createIptablesTools({ ...lab, run }, 'legacy').load('IPv4', prepared));
    expect(error.failure.kind).to.equal('environment');
    expect(error.message).to.contain("can't open lock file /proc/nosuch/lock").and.to.contain('Mount');
  });

  it('blames a lack of file descriptors on the host', async () => {
    const file = await lab.directory.write('nft', 'add table ip kube-proxy\n');
    const result = await lab.run('nft', ['-f', file.path], { through: [['prlimit', '--nofile=3']] });
    expect(classify({ tool: 'nft', script: '', ...result }).kind).to.equal('environment');
  });

  it('lets the tool die with us, before it commits', async () => {
    const [mark, pidFile] = [join(lab.directory.path, 'committed'), join(lab.directory.path, 'pid')];
    await withShim('nft', `echo $$ >${pidFile}; sleep 1; : >${mark}`);
    const program = [join(import.meta.dirname, 'load-once.ts'), lab.directory.path, join(lab.directory.path, 'shims')];
    const parent = spawn(process.execPath, ['--import', 'tsx', ...program]);
    const pid = Number(await contentOf(pidFile));
    parent.kill('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await isRunning(pid)).to.equal(false);
    expect(await readFile(mark).catch(() => 'absent')).to.equal('absent');
  });
});

describe('loading without the rights of the host', function () {
  this.timeout(60_000);

  it('recognises a transaction that does not fit the socket', async () => {
    const lab = await createKernelLab('rootless');
    try {
      const script = ['*nat', ...Array.from({ length: 6_000 }, (_, n) => `:KUBE-SVC-${n} - [0:0]`), 'COMMIT', ''].join(
        '\n',
      );
      const file = await lab.directory.write('rootless', script);
      const tool = 'iptables-nft-restore';
      const result = await lab.run(tool, ['--noflush', file.path], { through: [['unshare', '-Urn']] });
      expect(classify({ tool, script, ...result }).kind, result.stderr).to.equal('too-long');
    } finally {
      await lab.remove();
    }
  });
});

function rulesOf(saved: string): readonly string[] {
  return saved.split('\n').filter((line) => !line.startsWith('#'));
}

/** The same wrapper with a wait of one second instead of ten. */
function hurried([tool, ...args]: Wrapper): Wrapper {
  return [tool, ...args.map((argument) => (argument === '10' ? '1' : argument))];
}

async function contentOf(path: string): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.endsWith('\n')) return text;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
