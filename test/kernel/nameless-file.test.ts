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

describe('a listing that is looked at in pieces', function () {
  this.timeout(60_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('pieces');
  });
  afterEach(() => lab.remove());

  it('comes whole, in pieces of whole lines, and as a text only when it is news', async () => {
    const tools = createIptablesTools(lab, 'legacy');
    const comment = (rule: number) => `-A KUBE-A -m comment --comment "ä${'x'.repeat(rule % 97)}" -j ACCEPT\n`;
    const rules = Array.from({ length: 4_000 }, (_, rule) => comment(rule)).join('');
    await tools.load('IPv4', `*filter\n:KUBE-A - [0:0]\n${rules}COMMIT\n`);
    const pieces: string[] = [];
    const look = (isNews: boolean) => tools.listNews('IPv4', { see: (lines) => pieces.push(lines), isNews });
    const whole = (await look(true)) ?? '';
    expect(pieces.length).to.be.greaterThan(2);
    expect(Buffer.from(pieces.join(''), 'latin1').toString()).to.equal(whole);
    expect(pieces.filter((lines) => !lines.endsWith('\n'))).to.deep.equal([]);
    expect(whole.match(/^-A KUBE-A /gm)).to.have.lengthOf(4_000);
    expect(await look(false)).to.equal(undefined);
  });
});

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
      const dated = /^# .*\n/gm;
      const whole = (await list()).replace(dated, '');
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
      expect((await list()).replace(dated, '')).to.equal(whole);
    });
  }
});
