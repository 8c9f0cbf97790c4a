import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { ownFiles } from '../../src/kernel/files.ts';
import { listeningSockets } from '../../src/kernel/listening-sockets.ts';

const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

function socket(local: string, state: string, inode: number): string {
  return `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0000000000000000 100 0 0 10 0\n`;
}

function files(texts: Record<string, string>) {
  return { read: (path: string) => Promise.resolve(new Map(Object.entries(texts)).get(path)) };
}

describe('listening sockets of a host', () => {
  it('reads sockets of both protocols and both families, and who holds them', async () => {
    const tables = files({
      '/proc/net/tcp': header + socket('0100007F:7580', '0A', 11) + socket('0100007F:7581', '01', 12),
      '/proc/net/tcp6': header + socket('00000000000000000000000000000000:7580', '0A', 13),
      '/proc/net/udp': header + socket('0B0012AC:0035', '07', 14) + socket('0B0012AC:0036', '01', 15),
      '/proc/net/udp6': header + socket('B80D01200000000000000000010000FF:0035', '07', 16),
    });
    const owners = new Map([['13', { pid: 7, name: 'nginx' }]]);
    const found = await listeningSockets(tables, { findOwners: () => Promise.resolve(owners) });
    expect(found).to.deep.equal([
      { protocol: 'TCP', address: '127.0.0.1', port: 30080 },
      { protocol: 'TCP', address: '::', port: 30080, process: { pid: 7, name: 'nginx' } },
      { protocol: 'UDP', address: '172.18.0.11', port: 53 },
      { protocol: 'UDP', address: '2001:db8::ff00:1', port: 53 },
    ]);
  });

  it('asks for the owners of those that are wanted only', async () => {
    const tables = files({
      '/proc/net/tcp': header + socket('0100007F:7580', '0A', 11) + socket('0100007F:7581', '0A', 12),
      '/proc/net/udp': header + socket('0100007F:7580', '07', 13),
    });
    const asked: string[] = [];
    const found = await listeningSockets(tables, {
      isWanted: ({ protocol, port }) => protocol === 'TCP' && port === 30080,
      findOwners: (inodes) => {
        asked.push(...inodes);
        return Promise.resolve(new Map());
      },
    });
    expect(found).to.deep.equal([{ protocol: 'TCP', address: '127.0.0.1', port: 30080 }]);
    expect(asked).to.deep.equal(['11']);
  });

  it('takes what cannot be read for nothing', async () => {
    const broken = { read: () => Promise.reject(new Error('EACCES')) };
    expect(await listeningSockets(broken)).to.deep.equal([]);
  });

  it('names this very process for a socket of ours', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const found = (await listeningSockets(ownFiles)).filter((one) => one.port === port);
      expect(found.map(({ address, protocol }) => ({ address, protocol }))).to.deep.equal([
        { address: '127.0.0.1', protocol: 'TCP' },
      ]);
      expect(found[0]?.process?.pid).to.equal(process.pid);
    } finally {
      server.close();
    }
  });

  for (const [file, name] of [
    ['portwright', 'portwright'],
    ['portwright/dist/main.js', 'portwright'],
    ['portwright/scripts/server.js', 'node'],
  ] as const) {
    it(`takes a program that was started as ${file} for ${name}`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'pw-listeners-'));
      const path = join(directory, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, 'const s = require("net").createServer().listen(0, () => console.log(s.address().port));');
      const child = spawn(process.execPath, [path]);
      try {
        const [port] = (await once(child.stdout, 'data')) as [Buffer];
        const found = (await listeningSockets(ownFiles)).find((one) => one.port === Number(port));
        // A Node that is newer than 20 calls its first thread otherwise.
        expect(found?.process?.name.replace('MainThread', 'node')).to.equal(name);
      } finally {
        child.kill();
        await once(child, 'close');
        rmSync(directory, { recursive: true });
      }
    });
  }
});
