import { expect } from 'chai';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { legacyTables } from '../../src/kernel/iptables-tools.ts';
import { detectVariant } from '../../src/kernel/iptables-variant.ts';
import { createRun } from '../../src/kernel/run.ts';
import { createToolPaths } from '../../src/kernel/tool-paths.ts';
import { createKernelLab, type KernelLab } from './lab.ts';

/** Commands that make the situation, and the variant that a user of kube-proxy expects there. */
const situations: readonly [string, string, 'nft' | 'legacy', string][] = [
  [
    "kubelet's hint in legacy, more rules in nft",
    'iptables-legacy -t mangle -N KUBE-IPTABLES-HINT; iptables-nft -N A; iptables-nft -A A; iptables-nft -A A',
    'legacy',
    'hint',
  ],
  [
    "kubelet's canary in nft, of IPv6",
    'ip6tables-nft -t mangle -N KUBE-KUBELET-CANARY; iptables-legacy -A INPUT',
    'nft',
    'hint',
  ],
  [
    "a proxy's chains in legacy",
    'iptables-legacy -t nat -N KUBE-SERVICES; iptables-nft -A INPUT -j ACCEPT',
    'legacy',
    'proxy',
  ],
  [
    "a proxy's chains in nft",
    'iptables-nft -t nat -N KUBE-SVC-XPGD46QRK7WJZT7O; iptables-legacy -A INPUT',
    'nft',
    'proxy',
  ],
  [
    'more rules in legacy',
    'iptables-legacy -A INPUT; iptables-legacy -A INPUT; iptables-nft -A INPUT',
    'legacy',
    'more rules',
  ],
  [
    'the hint in both, chains of a proxy in nft',
    'iptables-legacy -t mangle -N KUBE-IPTABLES-HINT; iptables-nft -t mangle -N KUBE-IPTABLES-HINT; iptables-nft -t nat -N KUBE-SERVICES',
    'nft',
    'proxy',
  ],
];

describe('the variant of iptables', function () {
  this.timeout(60_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('variant');
  });
  afterEach(() => lab.remove());

  for (const [situation, commands, variant, reason] of situations) {
    it(`is ${variant} with ${situation}`, async () => {
      await lab.namespace.shell(commands);
      const detected = await detectVariant(lab);
      expect(detected.variant).to.equal(variant);
      expect(detected.reason).to.contain(reason);
    });
  }

  describe('without the right to read legacy', () => {
    const withoutRaw = () => {
      const prefix = [...lab.options.prefix, ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw']] as const;
      return detectVariant({ ...lab, run: createRun({ ...lab.options, prefix }) });
    };

    it('is doubtful where legacy rules are there, with the right that is missing', async () => {
      await lab.namespace.shell(
        'iptables-legacy -t mangle -N KUBE-KUBELET-CANARY; iptables-nft -t nat -N KUBE-SERVICES',
      );
      const { doubt } = await withoutRaw();
      expect(doubt).to.contain('iptables-legacy').and.to.contain('CAP_NET_RAW');
      expect(await detectVariant(lab))
        .to.deep.include({ variant: 'legacy' })
        .and.to.not.have.property('doubt');
    });

    it("is sure with kubelet's hint in nft, and where there are no legacy rules", async () => {
      expect(await withoutRaw()).to.not.have.property('doubt');
      await lab.namespace.shell('iptables-legacy -A INPUT; iptables-nft -t mangle -N KUBE-IPTABLES-HINT');
      expect(await withoutRaw())
        .to.deep.include({ variant: 'nft' })
        .and.to.not.have.property('doubt');
    });
  });

  for (const [what, script] of [
    ['is killed', 'kill -KILL $$'],
    ['finds no memory', 'echo "iptables-nft-save: Cannot allocate memory" >&2; exit 1'],
  ] as const) {
    it(`is doubtful where the tool that would show it ${what}`, async () => {
      await lab.namespace.shell(
        'iptables-nft -t mangle -N KUBE-KUBELET-CANARY; iptables-legacy -t nat -N KUBE-SERVICES',
      );
      const directory = join(lab.directory.path, 'shims');
      await mkdir(directory);
      await writeFile(join(directory, 'iptables-nft-save'), `#!/bin/sh\n${script}\n`);
      await chmod(join(directory, 'iptables-nft-save'), 0o755);
      const paths = createToolPaths(`${directory}:${String(process.env['PATH'])}`);
      const { doubt } = await detectVariant({ ...lab, run: createRun({ ...lab.options, paths }) });
      expect(doubt).to.contain('could not be read').and.to.contain('iptables-nft-save');
    });
  }

  it('is what `iptables` is in an empty kernel, where looking creates nothing', async () => {
    const installed = (await lab.namespace.mustExec('iptables', '--version')).includes('legacy') ? 'legacy' : 'nft';
    expect((await detectVariant(lab)).variant).to.equal(installed);
    expect(await legacyTables(lab.files, 'IPv4')).to.deep.equal([]);
    expect(await legacyTables(lab.files, 'IPv6')).to.deep.equal([]);
    expect(await lab.namespace.mustExec('nft', 'list', 'ruleset')).to.equal('');
  });

  it('is legacy in an empty kernel where `iptables` is legacy', async () => {
    const directory = join(lab.directory.path, 'shims');
    await mkdir(directory);
    await writeFile(join(directory, 'iptables'), '#!/bin/sh\nexec iptables-legacy "$@"\n');
    await chmod(join(directory, 'iptables'), 0o755);
    const paths = createToolPaths(`${directory}:${String(process.env['PATH'])}`);
    const detected = await detectVariant({ ...lab, run: createRun({ ...lab.options, paths }) });
    expect(detected).to.deep.equal({ variant: 'legacy', reason: 'is what `iptables` is' });
  });

  it('is found by the hint in one table although another holds native nft content', async () => {
    await lab.namespace.shell(
      "nft 'table ip filter { chain x { ct state new accept; }; }'; iptables-nft -t mangle -N KUBE-IPTABLES-HINT; iptables-legacy -A INPUT",
    );
    expect((await detectVariant(lab)).variant).to.equal('nft');
  });

  it('is the one that is installed where the other is not', async () => {
    await lab.namespace.shell('iptables-legacy -t nat -N KUBE-SERVICES; iptables-nft -A INPUT');
    const find = (tool: string) => (tool.includes('-nft') ? undefined : lab.options.paths.find(tool));
    const run = createRun({ ...lab.options, paths: { ...lab.options.paths, find } });
    expect((await detectVariant({ ...lab, run })).variant).to.equal('legacy');
  });
});
