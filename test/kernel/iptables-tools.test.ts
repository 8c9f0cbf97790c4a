import { expect } from 'chai';
import { ListError, LoadError } from '../../src/kernel/errors.ts';
import {
  createIptablesTools,
  legacyTables,
  type IptablesTools,
  type Variant,
} from '../../src/kernel/iptables-tools.ts';
import { createKernelLab, rejection, type KernelLab } from './lab.ts';

const chainScript = '*nat\n:KUBE-TEST - [0:0]\n-A KUBE-TEST -j RETURN\nCOMMIT\n';

for (const variant of ['nft', 'legacy'] satisfies Variant[]) {
  describe(`iptables of the ${variant} variant`, function () {
    this.timeout(60_000);
    let lab: KernelLab;
    let tools: IptablesTools;

    beforeEach(async () => {
      lab = await createKernelLab(`ipt-${variant}`);
      tools = createIptablesTools(lab, variant);
    });
    afterEach(() => lab.remove());

    for (const family of ['IPv4', 'IPv6'] as const) {
      it(`loads a script and lists it back for ${family}`, async () => {
        await tools.load(family, chainScript);
        const text = await tools.list(family);
        expect(text).to.contain('\n-A KUBE-TEST -j RETURN\n');
        const other = await tools.list(family === 'IPv4' ? 'IPv6' : 'IPv4');
        expect(other).to.not.contain('KUBE-TEST');
      });
    }

    it('lists nothing in an empty kernel, and creates nothing by it', async () => {
      expect(await tools.list('IPv4')).to.equal('');
      expect(await tools.list('IPv6')).to.equal('');
      expect(await legacyTables(lab.files, 'IPv4')).to.deep.equal([]);
      expect(await lab.namespace.mustExec('nft', 'list', 'ruleset')).to.equal('');
    });

    it('keeps what the script does not name', async () => {
      await lab.namespace.mustExec(`iptables-${variant}`, '-t', 'nat', '-A', 'POSTROUTING', '-j', 'ACCEPT');
      await tools.load('IPv4', chainScript);
      expect(await tools.list('IPv4')).to.contain('-A POSTROUTING -j ACCEPT');
    });

    it('removes the script file, whatever became of it', async () => {
      await rejection(tools.load('IPv4', '*nat\n-A POSTROUTING --bogus\nCOMMIT\n'));
      await tools.load('IPv4', chainScript);
      expect(await lab.namespace.shell(`ls ${lab.directory.path}`)).to.not.contain('script-');
    });

    it('names the refused line', async () => {
      const error = await rejection(tools.load('IPv4', '*nat\n:KUBE-TEST - [0:0]\n-A KUBE-TEST --bogus\nCOMMIT\n'));
      expect(error).to.be.instanceOf(LoadError);
      const { failure } = error as LoadError;
      expect(failure.kind).to.equal('refused-line');
      expect(failure.line).to.equal(3);
      expect(await tools.list('IPv4')).to.not.contain('KUBE-TEST');
    });
  });
}

describe('a table that holds native nft content', function () {
  this.timeout(60_000);

  it('is a read error that names the table, not an empty table', async () => {
    const lab = await createKernelLab('native');
    try {
      await lab.namespace.mustExec('nft', 'table ip nat { chain x { ct state new accept; }; }');
      const error = await rejection(createIptablesTools(lab, 'nft').list('IPv4'));
      expect(error).to.be.instanceOf(ListError);
      expect((error as ListError).table).to.equal('nat');
      expect((error as ListError).message).to.contain('native nft');
    } finally {
      await lab.remove();
    }
  });
});
