import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { verbs } from '../src/commands/verbs.ts';
import { version } from '../src/version.ts';
import { buildCli, goldenNode as node, manifest, nobody, textFile } from './support/cli.ts';
import type { Cli, Surroundings } from './support/cli.ts';
import { goldenDirectory } from './support/golden.ts';

const manifests = (name: string) => join(goldenDirectory, name, 'manifests.yaml');
const web = manifests('example-nodeport');

describe('the portwright program', function () {
  this.timeout(120_000);
  let cli: Cli;

  before(() => {
    cli = buildCli();
  });
  after(() => {
    cli.remove();
  });

  const run = (args: readonly string[], how?: Surroundings) => cli.run(args, how);
  const file = (name: string, text: string) => textFile(cli.directory, name, text);
  describe('asked for help', () => {
    it('tells its version', async () => {
      expect(await run(['--version'])).to.deep.equal({ exitCode: 0, stdout: `portwright ${version}\n`, stderr: '' });
    });

    for (const { name, example, exitCodes } of verbs) {
      it(`explains ${name} with its exit codes and an example`, async () => {
        const { exitCode, stdout, stderr } = await run([name, '--help']);
        expect([exitCode, stderr]).to.deep.equal([0, '']);
        expect(stdout)
          .to.match(new RegExp(`^Usage: portwright ${name}`))
          .and.to.include(`Exit code:\n  ${exitCodes}\n\nExample:\n  ${example}\n`);
        expect((await run(['help', name])).stdout).to.equal(stdout);
        // What is only for the agent is not offered elsewhere.
        expect(stdout.includes('--init-only')).to.equal(name === 'run');
      });
    }

    it('names what holds without a flag', async () => {
      const { stdout } = await run(['run', '--help']);
      expect(stdout).to.match(/--healthz-bind-address <value> .* \(default 0\.0\.0\.0:10256\)\n/);
      expect(stdout).to.match(/--service-node-port-range <value> .* \(default 30000-32767\)\n/);
      expect(stdout).to.match(/--masquerade-all \[bool\] +[^(]*\n/);
    });

    it('lists commands and topics, and prints a topic', async () => {
      const { exitCode, stdout } = await run(['help']);
      expect(exitCode).to.equal(0);
      for (const { name } of verbs) expect(stdout).to.match(new RegExp(`^  ${name} `, 'm'));
      expect((await run(['help', 'port-conflict'])).stdout).to.include('portwright ports');
    });

    for (const shell of ['bash', 'zsh', 'fish'] as const) {
      it(`prints a completion script that ${shell} reads, where it is installed`, async () => {
        const { exitCode, stdout } = await run(['completion', shell]);
        expect(exitCode).to.equal(0);
        for (const { name } of verbs) expect(stdout).to.include(name);
        const path = file(`completion.${shell}`, stdout);
        const isThere = existsSync(`/bin/${shell}`) || existsSync(`/usr/bin/${shell}`);
        if (isThere || shell === 'bash') execFileSync(shell, ['-n', path]);
      });
    }

    it('completes commands, options and nothing foreign in bash', async () => {
      const { stdout } = await run(['completion', 'bash']);
      const path = file('completion.bash', stdout);
      const complete = (words: string) =>
        execFileSync(
          'bash',
          [
            '-c',
            `source ${path}; COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _portwright; echo "\${COMPREPLY[*]}"`,
          ],
          { encoding: 'utf8' },
        ).trim();
      expect(complete('portwright expl')).to.equal('explain');
      expect(complete('portwright ports --sug')).to.equal('--suggest');
      expect(complete('portwright explain --to=')).to.equal('');
      expect(complete('portwright help not-a')).to.equal('not-accessible');
      expect(complete('portwright completion f')).to.equal('fish');
      expect(complete("portwright run -o ''")).to.equal('text json yaml script');
      expect(complete('portwright explain --output m')).to.equal('mermaid');
      expect(complete("portwright render --ip-family ''")).to.equal('IPv4 IPv6');
      expect(complete('portwright render --proxy-mode = n')).to.equal('nftables');
      expect(complete('portwright render --iptables-variant =')).to.equal('auto nft legacy');
    });
  });

  it('does not mind empty words, as a variable without a value leaves them', async () => {
    const [plain, padded] = [await run(['render', '-f', web]), await run(['render', '', '-f', web, ''])];
    expect(padded).to.deep.equal(plain);
    expect(plain.exitCode).to.equal(0);
  });

  describe('asked for what it cannot do', () => {
    const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
      ['no command', [], /Usage: portwright/],
      ['an unknown command', ['rendr'], /unknown command 'rendr'\n\(Did you mean render\?\)\n.*--help/],
      ['an unknown option', ['render', '--bogus'], /unknown option '--bogus'\n.*--help/],
      ['a format that a command does not have', ['render', '-f', web, '-o', 'xml'], /text, json, yaml/],
      [
        'a file without its option',
        ['render', web],
        /unexpected word ".*manifests\.yaml"; manifests are given with -f /,
      ],
      [
        'a switch apart from its value',
        ['render', '-f', web, '--masquerade-all', 'false'],
        /unexpected word "false"; .* --masquerade-all=false\n$/,
      ],
      ['a word too many', ['completion', 'bash', 'zsh'], /^error: completion: unexpected word "zsh"\n$/],
      ['a directory for a listing', ['diff', '-f', web, '--live', '/'], /--live: cannot read \/: is a directory/],
      ['no state', ['render'], /-f PATH.*--kubeconfig PATH.*--master URL/],
      ['manifests and a cluster', ['diff', '-f', web, '--kubeconfig', 'x'], /-f and --kubeconfig/],
      ['manifests and a server', ['apply', '-f', web, '--master', 'https://x'], /-f and --kubeconfig or --master/],
      [
        'a family that is none',
        ['render', '-f', web, '--ip-family', 'IPv5'],
        /--ip-family: got "IPv5", expected IPv4 or IPv6/,
      ],
      ['a mode that is none', ['render', '-f', web, '--proxy-mode', 'ipvs'], /ipvs.*(?:iptables|nftables)/],
      ['a file that is not there', ['render', '-f', '/nowhere.yaml'], /^\/nowhere\.yaml:\n {2}no such file/],
      ['a listing that is not there', ['diff', '-f', web, '--live', '/nowhere'], /--live: cannot read \/nowhere/],
      ['a listing that is none', ['diff', '-f', web, '--live', web], /neither what iptables-save prints nor/],
      ['a listing that is no text', ['diff', '-f', web, '--ruleset', process.execPath], /--ruleset: .* holds no text/],
      ['two listings', ['diff', '-f', web, '--live', 'a', '--ruleset', 'b'], /--live and --ruleset: .* one of them/],
      ['the kernel and a listing', ['explain', '--to', 'a:1', '--live', '--ruleset', 'b'], /--live and --ruleset: /],
      ['standard input twice', ['diff', '-f', '-', '--live', '-'], /-f - and --live -: .* once only/],
      ['standard input twice', ['explain', '-f', '-', '--ruleset', '-', '--to', 'a:1'], /-f - and --ruleset -: /],
      ['no destination', ['explain', '-f', web], /--to is missing/],
      ['a destination that is none', ['explain', '-f', web, '--to', 'node:99999'], /port from 1 to 65535/],
      ['a Service that is not there', ['explain', '-f', web, '--to', 'nobody:80'], /no Service default\/nobody/],
      ['a number that is none', ['ports', '-f', web, '--suggest', 'x'], /--suggest x/],
      ['an unknown topic', ['help', 'nonsense'], /there are port-conflict/],
      ['an unknown shell', ['completion', 'tcsh'], /bash, zsh, fish/],
    ];
    for (const [what, args, message] of refused) {
      it(`exits 2 with a hint for ${what}`, async () => {
        const { exitCode, stdout, stderr } = await run(args);
        expect(stderr).to.match(message).and.to.not.include('    at ');
        expect([exitCode, stdout]).to.deep.equal([2, '']);
      });
    }
  });

  describe('in a pipe', () => {
    it('writes no colour, whatever the surroundings say', async () => {
      for (const env of [{}, { NO_COLOR: '1' }, { CI: '1' }, { TERM: 'xterm-256color', COLORTERM: 'truecolor' }]) {
        const { stdout, stderr } = await run(['ports', '-f', manifests('port-conflict')], { env });
        expect(stdout + stderr).to.not.include('\u001b');
      }
    });

    it('ends quietly when nobody reads on', async () => {
      const services = Array.from({ length: 300 }, (_, index) => manifest(`s${index}`, 30_000 + index));
      const path = file('many.yaml', services.join('---\n'));
      const command = `${cli.words.join(' ')} render -f ${path} | head -n 1; echo "\${PIPESTATUS[*]}"`;
      const { exitCode, stdout, stderr } = await cli.run([], { prefix: ['bash', '--norc', '-c', command] });
      expect({ exitCode, stdout, stderr }).to.deep.equal({
        exitCode: 0,
        stdout: '# iptables-restore --noflush\n0 0\n',
        stderr: '',
      });
    });
  });

  describe('without privileges', () => {
    const prefix = process.getuid?.() === 0 ? nobody : [];

    for (const [what, args, exitCode] of [
      ['renders', ['render', '-f', 'web.yaml'], 0],
      ['compares with a listing', ['diff', '-f', 'web.yaml', '--live', 'v4.rules', '--ip-family', 'IPv4'], 0],
      ['explains', ['explain', '-f', 'web.yaml', '--to', 'node:30007'], 0],
      ['lists ports', ['ports', '-f', 'web.yaml'], 0],
      ['verifies', ['verify', '-f', 'web.yaml'], 0],
      ['reports', ['report', '-f', 'web.yaml'], 0],
    ] as const) {
      it(`${what} in a directory that cannot be written`, async () => {
        const cwd = join(cli.directory, 'read-only');
        file('read-only/web.yaml', readFileSync(web, 'utf8'));
        file(
          'read-only/v4.rules',
          readFileSync(join(goldenDirectory, 'example-nodeport', 'iptables-v4.rules'), 'utf8'),
        );
        chmodSync(cwd, 0o555);
        const answer = await run([...args, ...node], { prefix, cwd, env: { HOME: '/nonexistent' } });
        expect([answer.exitCode, answer.stderr]).to.deep.equal([exitCode, '']);
      });
    }
  });
});
