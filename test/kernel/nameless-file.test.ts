import { execFileSync } from 'node:child_process';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { RuntimeFileError } from '../../src/kernel/errors.ts';
import { createIptablesTools } from '../../src/kernel/iptables-tools.ts';
import { createNftTool } from '../../src/kernel/nft-tool.ts';
import { createKernelLab, rejection, type KernelLab } from './lab.ts';

const iptablesRules = `*filter\n:KUBE-A - [0:0]\n${'-A KUBE-A -p tcp -j ACCEPT\n'.repeat(400)}COMMIT\n`;
const nftRules = `add table ip kube-proxy\nadd chain ip kube-proxy a\n${'add rule ip kube-proxy a tcp dport 80 accept\n'.repeat(400)}`;

const listings = [
  {
    name: 'iptables-nft-save',
    make: async (lab: KernelLab) => {
      const tools = createIptablesTools(lab, 'nft');
      await tools.load('IPv4', iptablesRules);
      return () => tools.list('IPv4');
    },
  },
  {
    name: 'iptables-legacy-save',
    make: async (lab: KernelLab) => {
      const tools = createIptablesTools(lab, 'legacy');
      await tools.load('IPv4', iptablesRules);
      return () => tools.list('IPv4');
    },
  },
  {
    name: 'nft list',
    make: async (lab: KernelLab) => {
      const tool = createNftTool(lab);
      await tool.load(nftRules);
      return () => tool.list('IPv4');
    },
  },
];

describe('a listing that the runtime directory has no room for', function () {
  this.timeout(60_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('room');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'pw-test', lab.directory.path]);
  });
  afterEach(async () => {
    execFileSync('umount', [lab.directory.path]);
    await lab.remove();
  });

  for (const { name, make } of listings) {
    it(`of ${name} is an error, whole or in part, and never fewer rules`, async () => {
      const list = await make(lab);
      const whole = await list();
      const filler = `${lab.directory.path}/filler`;
      await writeFile(filler, Buffer.alloc(1024 * 1024)).catch(() => undefined);
      for (const room of [0, 4_096, 8_192]) {
        await truncate(filler, 256 * 1024 - room);
        const error = await rejection(list());
        expect(error, `room ${room}`).to.be.instanceOf(RuntimeFileError);
        expect((error as Error).message)
          .to.include(lab.directory.path)
          .and.to.include('nothing is concluded');
      }
      await rm(filler);
      expect(await list()).to.equal(whole);
    });
  }
});
