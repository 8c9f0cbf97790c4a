import { expect } from 'chai';
import { LoadError } from '../../src/kernel/errors.ts';
import { createNftTool, type NftTool } from '../../src/kernel/nft-tool.ts';
import { isAtLeast } from '../../src/kernel/version.ts';
import { createKernelLab, rejection, type KernelLab } from './lab.ts';

describe('nft', function () {
  this.timeout(60_000);
  let lab: KernelLab;
  let nft: NftTool;

  beforeEach(async () => {
    lab = await createKernelLab('nft');
    nft = createNftTool(lab);
  });
  afterEach(() => lab.remove());

  it('loads a script and lists our table back, of one family', async () => {
    await nft.load('add table ip kube-proxy\nadd chain ip kube-proxy services\n');
    expect(await nft.list('IPv4')).to.equal('table ip kube-proxy {\n\tchain services {\n\t}\n}\n');
    expect(await nft.list('IPv6')).to.equal('');
  });

  it('lists nothing of others', async () => {
    await lab.namespace.mustExec('nft', 'add table ip foreign');
    expect(await nft.list('IPv4')).to.equal('');
  });

  it('takes all of a script or nothing, and names the line', async () => {
    const error = await rejection(nft.load('add table ip kube-proxy\nadd rule ip kube-proxy nosuch accept\n'));
    expect(error).to.be.instanceOf(LoadError);
    expect((error as LoadError).failure).to.include({ kind: 'conflict', line: 2 });
    expect(await nft.list('IPv4')).to.equal('');
  });

  it('tells its version', async () => {
    expect(isAtLeast(await nft.version(), [1, 0, 1])).to.equal(true);
  });
});
