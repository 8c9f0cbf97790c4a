import { expect } from 'chai';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { eventually } from '../support/agent-lab.ts';
import { buildCli } from '../support/cli.ts';
import type { Cli } from '../support/cli.ts';
import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { nodeAddresses, ownerOf } from '../support/lab-topology.ts';
import { packetsSentAgain } from '../support/sent-again.ts';
import { startTraffic } from '../support/traffic.ts';
import type { Target } from '../support/traffic.ts';
import { clearRules } from './recorded-rules.ts';
import { readCase } from './rules-case.ts';
import type { RulesCase } from './rules-case.ts';

const modes = {
  nftables: ['--proxy-mode=nftables'],
  'iptables (nf_tables)': ['--proxy-mode=iptables', '--iptables-variant=nft'],
  'iptables (legacy)': ['--proxy-mode=iptables', '--iptables-variant=legacy'],
} as const;
type Mode = keyof typeof modes;
const route: readonly Mode[] = ['nftables', 'iptables (nf_tables)', 'nftables', 'iptables (legacy)', 'nftables'];

describe('another mode while packets flow', function () {
  this.timeout(180_000);
  let lab: Lab;
  let cli: Cli;
  let agent: ChildProcess | undefined;

  before(async () => {
    cli = buildCli();
    lab = await createLab();
  });
  after(async () => {
    await lab.remove();
    cli.remove();
  });
  beforeEach(() => clearRules(lab));
  afterEach(() => agent?.kill('SIGKILL'));

  const words = (command: string, { directory }: RulesCase, mode: Mode) => [
    command,
    ...['-f', join(directory, 'state.yaml'), '--config', join(directory, 'config.yaml')],
    ...[`--node-addresses=${nodeAddresses.join()}`, ...modes[mode]],
  ];
  const env = () => ({ ...lab.node.env, PORTWRIGHT_RUNTIME_DIR: join(cli.directory, 'run') });

  async function apply(given: RulesCase, mode: Mode): Promise<void> {
    const { exitCode, stderr } = await cli.run(words('apply', given, mode), { prefix: lab.node.prefix, env: env() });
    expect(exitCode, stderr).to.equal(0);
  }

  /** An agent of this mode takes over, and is ended once it has verified its rules and removed those of the other. */
  async function run(given: RulesCase, mode: Mode): Promise<void> {
    const [file = '', ...args] = [...lab.node.prefix, ...cli.words, ...words('run', given, mode)];
    let log = '';
    const child = spawn(file, args, { env: { ...process.env, ...env() }, stdio: ['ignore', 'ignore', 'pipe'] });
    agent = child;
    child.stderr.on('data', (chunk: Buffer) => (log += String(chunk)));
    await eventually(
      `one mode: ${mode}`,
      async () => (await present()).join() === mode,
      () => log,
    );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    expect(await ended, log).to.equal(0);
  }

  /** The modes of which the kernel holds a rule. */
  async function present(): Promise<readonly Mode[]> {
    const listings = await Promise.all([
      lab.node.shell('nft list tables | grep kube-proxy || true'),
      lab.node.shell('iptables-nft-save 2>/dev/null; ip6tables-nft-save 2>/dev/null'),
      lab.node.shell('iptables-legacy-save; ip6tables-legacy-save'),
    ]);
    return (Object.keys(modes) as Mode[]).filter((_, index) =>
      /KUBE-(?!FIREWALL)|kube-proxy/.test(listings[index] ?? ''),
    );
  }

  for (const [command, change] of [
    ['apply', apply],
    ['run', run],
  ] as const) {
    for (const name of ['nodeport-local-policy', 'dual-stack']) {
      it(`${command}: no connection fails, old or new, and nothing of the other mode stays: ${name}`, async () => {
        const given = readCase(name);
        await lab.listen(given.listeners);
        await apply(given, 'iptables (nf_tables)');
        const targets = servedInBothModes(given);
        const places = [...new Set(targets.map(({ source }) => ownerOf(source)))];
        const sentAgain = async () =>
          (await Promise.all(places.map((place) => packetsSentAgain(lab, place)))).reduce((sum, count) => sum + count);
        const before = await sentAgain();
        const stop = await startTraffic(lab, targets, { longLived: 1 });
        for (const mode of route) {
          await change(given, mode);
          expect(await present()).to.deep.equal([mode]);
        }
        const { attempts, failures, longLivedFailures, examples } = await stop();
        const lost = (await sentAgain()) - before;
        expect({ failures, longLivedFailures, examples, lost }).to.deep.equal({
          failures: 0,
          longLivedFailures: 0,
          examples: [],
          lost: 0,
        });
        expect(attempts).to.be.greaterThan(200);
      });
    }
  }
});

function servedInBothModes(given: RulesCase): readonly Target[] {
  const [iptables, nftables] = [given.flows('iptables'), given.flows('nftables')];
  return nftables.flatMap(({ protocol, source, destination, port, expect: { verdict } }, index) =>
    protocol === 'tcp' && verdict === 'endpoint' && iptables[index]?.expect.verdict === 'endpoint'
      ? [{ protocol, source, destination, port }]
      : [],
  );
}
