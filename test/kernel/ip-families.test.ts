import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Files } from '../../src/kernel/files.ts';
import { iptablesFamily, nftFamily } from '../../src/kernel/ip-families.ts';
import { createRun } from '../../src/kernel/run.ts';
import { createToolPaths } from '../../src/kernel/tool-paths.ts';
import { createKernelLab, type KernelLab } from './lab.ts';

describe('the support of an IP family', function () {
  this.timeout(60_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('families');
  });
  afterEach(() => lab.remove());

  it('is there for both families and variants on an ordinary host', async () => {
    for (const family of ['IPv4', 'IPv6'] as const) {
      for (const variant of ['nft', 'legacy'] as const) {
        expect(await iptablesFamily(lab, variant, family)).to.deep.equal({ family, isSupported: true });
      }
      expect(await nftFamily(lab.files, family)).to.deep.equal({ family, isSupported: true });
    }
  });

  it('is missing for IPv6 where it is switched off, with the setting as the reason', async () => {
    await lab.namespace.mustExec('sysctl', '-w', 'net.ipv6.conf.all.disable_ipv6=1');
    const support = await iptablesFamily(lab, 'nft', 'IPv6');
    expect(support.isSupported).to.equal(false);
    expect(support.reason).to.contain('disable_ipv6');
    expect((await iptablesFamily(lab, 'nft', 'IPv4')).isSupported).to.equal(true);
  });

  it('is missing for IPv6 where the kernel has none', async () => {
    const files: Files = {
      ...lab.files,
      read: (path) => (path === '/proc/net/if_inet6' ? Promise.resolve(undefined) : lab.files.read(path)),
    };
    expect((await nftFamily(files, 'IPv6')).reason).to.contain('/proc/net/if_inet6');
  });

  it('is not denied because a table holds native nft content', async () => {
    await lab.namespace.mustExec('nft', 'table ip nat { chain x { ct state new accept; }; }');
    expect((await iptablesFamily(lab, 'nft', 'IPv4')).isSupported).to.equal(true);
  });

  it('is missing where a right or the lock is, and the reason says which', async () => {
    const reason = async (variant: 'nft' | 'legacy', ...argv: readonly [string, ...string[]]) => {
      const run = createRun({ ...lab.options, prefix: [...lab.options.prefix, argv] });
      return (await iptablesFamily({ ...lab, run }, variant, 'IPv4')).reason;
    };
    const without = (right: string) => ['setpriv', `--bounding-set=-${right}`, `--inh-caps=-${right}`] as const;
    expect(await reason('nft', ...without('net_admin'))).to.contain('CAP_NET_ADMIN');
    expect(await reason('legacy', ...without('net_raw'))).to.contain('CAP_NET_RAW');
    expect(await reason('legacy', 'env', 'XTABLES_LOCKFILE=/proc/xtables.lock')).to.contain(
      '/run/xtables.lock writable',
    );
  });

  it('is there although somebody else holds the lock', async () => {
    const lock = lab.namespace.env['XTABLES_LOCKFILE']!;
    const holder = spawn('flock', ['--no-fork', lock, 'sh', '-c', 'echo held; exec sleep 60']);
    try {
      await once(holder.stdout, 'data');
      expect(await iptablesFamily(lab, 'legacy', 'IPv6')).to.deep.equal({ family: 'IPv6', isSupported: true });
    } finally {
      holder.kill();
    }
  });

  for (const [what, script] of [
    ['was killed', 'kill -KILL $$'],
    ['found no file left', 'echo "ip6tables: error while loading shared libraries: libc.so.6: Error 24" >&2; exit 127'],
  ] as const) {
    it(`is there although the tool that was asked ${what}`, async () => {
      await writeFile(join(lab.directory.path, 'ip6tables-nft'), `#!/bin/sh\n${script}\n`);
      await chmod(join(lab.directory.path, 'ip6tables-nft'), 0o755);
      const run = createRun({ ...lab.options, paths: createToolPaths(lab.directory.path) });
      expect((await iptablesFamily({ ...lab, run }, 'nft', 'IPv6')).isSupported).to.equal(true);
    });
  }

  it('is missing where the tool is, which the reason names', async () => {
    const paths = { searched: ['/nowhere'], find: () => undefined };
    const support = await iptablesFamily({ ...lab, run: createRun({ paths }) }, 'nft', 'IPv4');
    expect(support.reason).to.contain('iptables-nft: not installed');
  });
});
