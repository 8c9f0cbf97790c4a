import { expect } from 'chai';
import { createIptablesTools } from '../../src/kernel/iptables-tools.ts';
import { inScratchNamespace } from '../../src/kernel/scratch.ts';
import { createRun } from '../../src/kernel/run.ts';
import { createKernelLab, type KernelLab } from './lab.ts';

const good = '*nat\n:KUBE-A - [0:0]\n-A KUBE-A -j RETURN\nCOMMIT\n';

for (const variant of ['nft', 'legacy'] as const) {
  describe(`a try in a scratch namespace with the ${variant} variant`, function () {
    this.timeout(60_000);
    let lab: KernelLab;

    before(async () => {
      lab = await createKernelLab('scratch');
    });
    after(() => lab.remove());

    it('tells nothing of a script the kernel takes, and leaves nothing behind', async () => {
      expect(await inScratchNamespace(lab, variant).tryLoad('IPv6', good)).to.equal(undefined);
      expect(await lab.namespace.mustExec('nft', 'list', 'ruleset')).to.equal('');
      expect(await lab.namespace.shell(`ls ${lab.directory.path}`)).to.not.contain('script-');
    });

    it('finds what `--test` does not: a rule that only the kernel refuses', async () => {
      const script = '*nat\n:KUBE-A - [0:0]\n-A POSTROUTING -j REDIRECT\nCOMMIT\n';
      const failure = await inScratchNamespace(lab, variant).tryLoad('IPv4', script);
      expect(failure?.kind).to.equal(variant === 'nft' ? 'refused-line' : 'refused-commit');
      expect(failure?.line).to.equal(variant === 'nft' ? 3 : undefined);
    });

    it('tries a script where no rules are, whatever the live ones', async () => {
      const change = '*nat\n-D KUBE-A -j RETURN\nCOMMIT\n';
      await createIptablesTools(lab, variant).load('IPv4', good);
      expect((await inScratchNamespace(lab, variant).tryLoad('IPv4', change))?.kind).to.equal('conflict');
    });

    it('makes the counters that rules name', async () => {
      const script = '*filter\n-A FORWARD -m nfacct --nfacct-name some_pkts -j DROP\nCOMMIT\n';
      const scratch = inScratchNamespace(lab, variant);
      expect(await scratch.tryLoad('IPv4', script)).to.not.equal(undefined);
      expect(await scratch.tryLoad('IPv4', script, ['some_pkts'])).to.equal(undefined);
    });

    it('blames the host where no namespace can be made', async () => {
      const prefix = [...lab.options.prefix, ['setpriv', '--bounding-set=-all', '--inh-caps=-all']] as const;
      const run = createRun({ ...lab.options, prefix });
      const failure = await inScratchNamespace({ ...lab, run }, variant).tryLoad('IPv4', good);
      expect(failure?.kind).to.equal('environment');
    });
  });
}
