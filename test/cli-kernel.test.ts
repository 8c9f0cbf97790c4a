import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { buildCli, goldenNode, manifest, nobody, textFile } from './support/cli.ts';
import type { Cli } from './support/cli.ts';
import { goldenDirectory } from './support/golden.ts';
import { createNamespace, withNamespace } from './support/namespace.ts';
import type { Namespace, Output } from './support/namespace.ts';

const web = join(goldenDirectory, 'example-nodeport', 'manifests.yaml');

/** Every way in which rules can stand in a kernel. */
const places = [
  { name: 'iptables (nf_tables)', words: ['--proxy-mode=iptables', '--iptables-variant=nft'] },
  { name: 'iptables (legacy)', words: ['--proxy-mode=iptables', '--iptables-variant=legacy'] },
  { name: 'nftables', words: ['--proxy-mode=nftables'] },
] as const;
type Place = (typeof places)[number];
const [nft, legacy, nftables] = places;

describe('the portwright program and a kernel', function () {
  this.timeout(180_000);
  let cli: Cli;
  let namespace: Namespace;
  let env: Record<string, string>;

  before(() => {
    cli = buildCli();
  });
  after(() => {
    cli.remove();
  });
  beforeEach(async () => {
    namespace = await createNamespace('cli');
    env = { ...namespace.env, PORTWRIGHT_RUNTIME_DIR: join(cli.directory, `runtime-${namespace.name}`) };
  });
  afterEach(async () => {
    await namespace.remove();
  });

  const run = (args: readonly string[], prefix: readonly string[] = []): Promise<Output> =>
    cli.run(args, { prefix: [...namespace.prefix, ...prefix], env });
  const on = (command: string, place: Place, ...more: readonly string[]) =>
    run([command, '-f', web, ...goldenNode, ...place.words, ...more]);
  const succeed = async (answer: Promise<Output>): Promise<Output> => {
    const { exitCode, stdout, stderr } = await answer;
    expect(exitCode, stdout + stderr).to.equal(0);
    return { exitCode, stdout, stderr };
  };
  /** All rules of the namespace without counters and comments that change from one listing to the next. */
  const everything = async (): Promise<string> => {
    const tools = [...saveTools, 'nft -s list ruleset'];
    const texts = await Promise.all(tools.map((tool) => namespace.shell(tool)));
    return texts
      .join('')
      .replace(/^#.*\n/gm, '')
      .replace(/\[\d+:\d+\]/g, '');
  };
  const saveTools = ['iptables-legacy-save', 'ip6tables-legacy-save'];
  // KUBE-FIREWALL is kubelet's too: nobody but kubelet takes it away.
  const ours = /KUBE-(?!FIREWALL)|kube-proxy/;

  for (const place of places) {
    it(`${place.name}: applies what diff showed, finds nothing then, repairs drift, and cleans up`, async () => {
      expect((await on('diff', place)).exitCode).to.equal(1);
      const dry = await succeed(on('apply', place, '--dry-run'));
      expect(dry.stdout).to.match(place === nftables ? /^# nft -f\n/ : /^# iptables-restore --noflush -w 5\n/);
      expect(await everything()).to.not.match(ours);

      const applied = JSON.parse((await succeed(on('apply', place, '-o', 'json'))).stdout) as Record<string, unknown>;
      expect(applied).to.include({ applied: true, differs: true }).and.to.have.property('durationMs');
      expect(await on('diff', place)).to.deep.equal({ exitCode: 0, stdout: '', stderr: '' });
      expect((await on('apply', place)).stderr).to.equal('nothing to change\n');
      expect((await on('verify', place, '--live')).exitCode).to.equal(0);

      await namespace.shell(drift.get(place.name) ?? '');
      const drifted = await on('diff', place);
      expect(drifted.exitCode).to.equal(1);
      expect(drifted.stdout).to.match(/KUBE-POSTROUTING|masquerading|service-nodeports/);
      await succeed(on('apply', place));
      expect((await on('diff', place)).exitCode).to.equal(0);

      const before = await everything();
      const plan = await succeed(run(['cleanup', '--dry-run']));
      expect(plan.stderr).to.match(/objects would be removed/);
      expect(await everything()).to.equal(before);
      await succeed(run(['cleanup']));
      expect(await everything()).to.not.match(ours);
      expect((await run(['cleanup'])).stderr).to.equal('nothing of ours or of kube-proxy is there\n');
    });

    it(`${place.name}: prints with --dry-run a script that does the same`, async () => {
      const { stdout } = await succeed(on('apply', place, '--dry-run', '--ip-family=IPv4'));
      const path = textFile(cli.directory, `${namespace.name}.script`, stdout);
      await namespace.shell(`${loaders.get(place.name) ?? ''} ${path}`);
      expect(await on('diff', place, '--ip-family=IPv4')).to.deep.equal({ exitCode: 0, stdout: '', stderr: '' });
    });

    for (const other of places.filter((one) => one !== place)) {
      it(`${place.name}: shows what ${other.name} left, and leaves nothing of it`, async () => {
        await succeed(on('apply', other));
        const { stdout, stderr } = await on('diff', place);
        expect(stdout).to.include(`    ${other.name}: `);
        expect(stderr).to.include('left over from another mode or variant');
        await succeed(on('apply', place));
        expect(await on('diff', place)).to.deep.equal({ exitCode: 0, stdout: '', stderr: '' });
      });
    }

    it(`${place.name}: of several at once each ends well, and the rules are those of one of them`, async () => {
      const states = [1, 2, 3, 4, 5].map((number) =>
        textFile(cli.directory, `${namespace.name}-${number}.yaml`, manifest(`web-${number}`, 30_000 + number)),
      );
      const words = [...goldenNode, ...place.words];
      const answers = await Promise.all(states.map((path) => run(['apply', '-f', path, ...words])));
      for (const { exitCode, stderr } of answers) expect(exitCode, stderr).to.equal(0);
      const codes: (number | undefined)[] = [];
      for (const path of states) codes.push((await run(['diff', '-f', path, ...words])).exitCode);
      expect(codes.toSorted()).to.deep.equal([0, 1, 1, 1, 1]);
    });

    it(`${place.name}: a user without rights is told so, and nothing changes`, async () => {
      const own = { env: { ...env, PORTWRIGHT_RUNTIME_DIR: join(cli.directory, 'of-nobody') } };
      mkdirSync(own.env.PORTWRIGHT_RUNTIME_DIR, { recursive: true, mode: 0o700 });
      await namespace.shell(`chown 65534:65534 ${own.env.PORTWRIGHT_RUNTIME_DIR}`);
      for (const command of ['diff', 'apply']) {
        const { exitCode, stderr } = await cli.run([command, '-f', web, ...goldenNode, ...place.words], {
          prefix: [...namespace.prefix, ...nobody],
          ...own,
        });
        expect(exitCode, stderr).to.equal(2);
        expect(stderr)
          .to.match(/^error: .*(?:permitted|[Pp]ermission|must be root)/m)
          .and.to.not.include('    at ');
      }
      expect(await everything()).to.not.match(ours);
    });

    it(`${place.name}: a missing tool is named`, async () => {
      const nowhere = join(cli.directory, 'nowhere');
      mkdirSync(nowhere, { recursive: true });
      // Only this command sees the empty directory: its namespace of mounts is its own.
      const script = `mount --bind ${nowhere} /usr/sbin && exec "$@"`;
      for (const command of ['diff', 'apply']) {
        const args = [command, '-f', web, ...goldenNode, ...place.words];
        const { exitCode, stderr } = await run(args, ['sh', '-euc', script, 'sh']);
        expect(exitCode, stderr).to.equal(2);
        expect(stderr).to.match(place === nftables ? /nft\b.*not installed/ : /iptables\S*.*not installed/);
        expect(stderr).to.not.include('    at ');
      }
    });
  }

  it('names the mount that is missing where no directory can be written', async () => {
    const script = 'mount -t tmpfs -o ro none /run && exec env -u PORTWRIGHT_RUNTIME_DIR TMPDIR=/proc "$@"';
    const { exitCode, stderr } = await run(['diff', '-f', web, ...goldenNode], ['sh', '-euc', script, 'sh']);
    expect(exitCode).to.equal(2);
    expect(stderr)
      .to.match(/^error: no private directory for scripts: .*EROFS/)
      .and.to.contain('mount /run/portwright');
  });

  it('writes its rules without those that count packets where iptables lacks the match', async () => {
    const script = 'mount --bind /dev/null "$(find /usr/lib /lib -name libxt_nfacct.so -print -quit)" && exec "$@"';
    for (const { words } of [nft, legacy]) {
      await succeed(run(['apply', '-f', web, ...goldenNode, ...words], ['sh', '-euc', script, 'sh']));
      const rules = await namespace.mustExec(words === nft.words ? 'iptables-nft-save' : 'iptables-legacy-save');
      expect(rules).to.contain('KUBE-SVC-').and.to.not.contain('nfacct');
    }
  });

  it('does not pass over legacy rules that it has no right to read', async () => {
    await succeed(on('apply', legacy));
    const withoutRaw = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw'];
    for (const words of [nft.words, nftables.words]) {
      const { exitCode, stderr } = await run(['diff', '-f', web, ...goldenNode, ...words], withoutRaw);
      expect(exitCode, stderr).to.equal(1);
      expect(stderr).to.match(/^warning: iptables \(legacy\): old rules may go on sending packets: .* CAP_NET_RAW/m);
    }
    const { exitCode, stderr } = await run(['apply', '-f', web, ...goldenNode], withoutRaw);
    expect(exitCode).to.equal(2);
    expect(stderr).to.match(/^error: the variant of iptables cannot be told: .* CAP_NET_RAW .*--iptables-variant$/m);
    expect(await namespace.mustExec('iptables-nft-save')).to.not.match(ours);
  });

  it('waits for another one, says for whom, and goes on when that is killed', async () => {
    const slow = textFile(
      cli.directory,
      'slow/nft',
      '#!/bin/sh\ncase $* in *list*) sleep 600 ;; *) exec /usr/sbin/nft "$@" ;; esac\n',
    );
    chmodSync(slow, 0o755);
    const words = ['apply', '-f', web, ...goldenNode, ...nftables.words];
    const [file = '', ...args] = [...namespace.prefix, ...cli.words, ...words];
    const path = `${dirname(slow)}:${process.env['PATH'] ?? ''}`;
    const holder = spawn(file, args, { env: { ...env, PATH: path }, stdio: 'ignore' });
    const directory = env['PORTWRIGHT_RUNTIME_DIR'] ?? '';
    mkdirSync(directory, { mode: 0o700 });
    await until(() => readdirSync(directory).some((name) => name.startsWith('turn-')));
    const ended = new Promise((resolve) => holder.once('close', resolve));
    const waiting = run(words);
    await pause(4_000);
    holder.kill('SIGKILL');
    await ended;
    const { stderr } = await succeed(waiting);
    expect(stderr).to.match(
      new RegExp(`^waiting for main.js apply \\(process ${holder.pid}\\), which changes the rules of this node\n`),
    );
    expect((await on('diff', nftables)).exitCode).to.equal(0);
  });

  it('does not wait for one in another network namespace', async () => {
    await withNamespace('other', async (other) => {
      const turn = join(env['PORTWRIGHT_RUNTIME_DIR'] ?? '', 'turn-');
      const script = `mkdir -m 700 -p "$(dirname ${turn})"; exec 9>${turn}$(stat -Lc %i /proc/self/ns/net); flock 9; "$@"`;
      const prefix = [...other.prefix, 'sh', '-euc', script, 'sh', ...namespace.prefix];
      const { stderr } = await succeed(cli.run(['apply', '-f', web, ...goldenNode, ...nft.words], { prefix, env }));
      expect(stderr).to.not.include('waiting');
    });
  });

  it('tells who applies beside an agent that the agent will undo it', async () => {
    const words = ['run', '-f', web, ...goldenNode, ...nftables.words];
    const [file = '', ...args] = [...namespace.prefix, ...cli.words, ...words];
    const agent = spawn(file, args, { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' });
    try {
      await until(async () => (await on('diff', nftables)).exitCode === 0);
      const another = textFile(cli.directory, 'beside.yaml', manifest('beside', 30_098));
      // Else it may undo what is written before apply has removed what nothing uses any more.
      agent.kill('SIGSTOP');
      const { stderr } = await succeed(run(['apply', '-f', another, ...goldenNode, ...nftables.words]));
      expect(stderr).to.match(
        /^warning: the agent main.js run \(process \d+\) keeps the rules of this node and will undo/,
      );
      expect((await on('diff', nftables)).exitCode).to.equal(1);
      agent.kill('SIGCONT');
      await until(async () => (await on('diff', nftables)).exitCode === 0);
    } finally {
      const ended = new Promise((resolve) => agent.once('close', resolve));
      agent.kill('SIGTERM');
      agent.kill('SIGCONT');
      await ended;
    }
  });

  it('ends an agent that cannot start, and one whose preview nobody reads any more', async () => {
    const { exitCode, stderr } = await run(['run', '--kubeconfig', '/nowhere', ...goldenNode]);
    expect([exitCode, stderr]).to.match(/^2,[^]*error: kubeconfig \/nowhere cannot be read/);
    const path = textFile(cli.directory, 'preview/web.yaml', manifest('preview', 30_001));
    const change = `read -r line; sed -i s/30001/30002/ ${path}; echo "$line"`;
    const agent = `${cli.words.join(' ')} run --dry-run -o json -f ${dirname(path)} ${goldenNode.join(' ')}`;
    const piped = await cli.run([], {
      prefix: [...namespace.prefix, 'bash', '--norc', '-c', `${agent} | (${change}); echo "\${PIPESTATUS[*]}"`],
      env,
    });
    expect(piped.stdout).to.match(/^\{"differs":true,.*\}\n0 0\n$/);
  });

  it('goes on with the other family where one cannot be read, and ends with 2', async () => {
    const broken = textFile(cli.directory, 'broken/iptables-nft-save', '#!/bin/sh\necho no table today >&2; exit 4\n');
    chmodSync(broken, 0o755);
    const surroundings = {
      prefix: namespace.prefix,
      env: { ...env, PATH: `${dirname(broken)}:${process.env['PATH'] ?? ''}` },
    };
    const there = (command: string, ...more: readonly string[]) =>
      cli.run([command, '-f', web, ...goldenNode, ...nft.words, ...more], surroundings);
    const refusal = /^error: IPv4: .*iptables-nft-save: exit code 4: no table today$/m;
    for (const [command, more, output] of [
      ['diff', [], /^IPv6\n/],
      ['apply', ['--dry-run'], /^# ip6tables-restore --noflush -w 5\n/],
      ['apply', [], /^IPv6\n/],
    ] as const) {
      const { exitCode, stdout, stderr } = await there(command, ...more);
      expect(exitCode, stderr).to.equal(2);
      expect(stderr).to.match(refusal);
      expect(stdout).to.match(output);
    }
    const { families } = JSON.parse((await there('diff', '-o', 'json')).stdout) as { families: unknown[] };
    expect(families[0]).to.include({ family: 'IPv4' }).and.to.have.property('error').that.includes('no table today');
    expect(families[1]).to.deep.equal({ family: 'IPv6', services: [], shared: [], leftovers: [] });
  });

  it('leaves native content of nft in the tables of iptables as it is', async () => {
    await namespace.shell(
      `nft 'add table ip nat; add set ip nat mine { type ipv4_addr; elements = { 192.0.2.1 }; }
            add chain ip nat own; add rule ip nat own ip saddr @mine counter accept'`,
    );
    const own = async () => (await namespace.shell('nft -s list set ip nat mine; nft -s list chain ip nat own')).trim();
    const before = await own();
    for (const place of [nftables, legacy]) {
      await succeed(on('apply', place));
      expect((await on('diff', place)).exitCode).to.equal(0);
      expect(await own()).to.equal(before);
    }
    await succeed(run(['cleanup']));
    expect(await own()).to.equal(before);
  });

  it('leaves rules of others where they are', async () => {
    const foreign =
      'iptables-nft -t nat -A PREROUTING -d 192.0.2.9/32 -j ACCEPT; iptables-nft -A FORWARD -s 192.0.2.8/32 -j DROP';
    await namespace.shell(foreign);
    for (const place of [nft, nftables, nft]) await succeed(on('apply', place));
    await succeed(run(['cleanup']));
    const rules = (await namespace.shell('iptables-nft-save')).match(/^-A (?!.*KUBE-FIREWALL).*$/gm);
    expect(rules).to.have.members(['-A PREROUTING -d 192.0.2.9/32 -j ACCEPT', '-A FORWARD -s 192.0.2.8/32 -j DROP']);
  });

  it('reads its own saved listings as it reads the kernel', async () => {
    await succeed(on('apply', nft));
    const saved = textFile(cli.directory, 'saved.rules', await namespace.shell('iptables-nft-save'));
    expect((await on('diff', nft, '--live', saved, '--ip-family=IPv4')).exitCode).to.equal(0);
    await succeed(on('apply', nftables));
    const listed = textFile(cli.directory, 'listed.nft', await namespace.shell('nft list ruleset'));
    expect((await on('diff', nftables, '--ruleset', listed)).exitCode).to.equal(0);
    expect(readFileSync(listed, 'utf8')).to.include('table ip kube-proxy');
  });

  it('reports on the node with --live', async () => {
    await succeed(on('apply', nft));
    const { stdout } = await succeed(on('report', nft, '--live'));
    expect(stdout)
      .to.include('live rules')
      .and.to.include('id="node"')
      .and.to.include('The kernel holds what it should');
  });

  it('explains what the kernel does with --live', async () => {
    for (const place of [nft, nftables]) {
      await succeed(on('apply', place));
      const { stdout } = await succeed(
        on('explain', place, '--live', '--to', '172.18.0.11:30007', '--from', '192.0.2.7'),
      );
      expect(stdout).to.include('delivered to an endpoint');
    }
  });
});

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await pause(100);
}

/** Takes one rule or element away. */
const drift = new Map<string, string>([
  [nft.name, 'iptables-nft -t nat -D KUBE-POSTROUTING 1'],
  [legacy.name, 'iptables-legacy -t nat -D KUBE-POSTROUTING 1'],
  [nftables.name, 'nft flush map ip kube-proxy service-nodeports'],
]);

const loaders = new Map<string, string>([
  [nft.name, 'iptables-nft-restore --noflush'],
  [legacy.name, 'iptables-legacy-restore --noflush'],
  [nftables.name, 'nft -f'],
]);
