import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFollow } from '../../src/kernel/follow.ts';
import { openHost, type Host } from '../../src/kernel/host.ts';
import { claimInstance, claimTurn, instanceHolder, turnHolder } from '../../src/kernel/instance-lock.ts';
import { rejection } from './lab.ts';

describe('the claim of a node', function () {
  this.timeout(60_000);
  let path: string;
  let host: Host;

  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'pw-instance-'));
    host = await openHost({ runtimeDirectory: path });
  });
  afterEach(() => rm(path, { recursive: true }));

  const ignore = () => undefined;

  it('is ours once, names us to the second one, and is free after release', async () => {
    const first = await claimInstance(host, ignore);
    const second = await claimInstance(host, ignore);
    expect(first.isOurs).to.equal(true);
    expect(second).to.have.nested.property('holder.pid', process.pid);
    if (first.isOurs) first.release();
    const third = await claimWhenFree();
    third.release();
  });

  it('ends with its holder, even when that is killed', async () => {
    const program = join(import.meta.dirname, 'claim-once.ts');
    const holder = spawn(process.execPath, ['--import', 'tsx', program, path]);
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    expect(await claimInstance(host, ignore)).to.have.nested.property('holder.pid', holder.pid);
    holder.kill('SIGKILL');
    const claim = await claimWhenFree();
    claim.release();
  });

  it('tells others who runs, without a try of their own', async () => {
    expect(await instanceHolder(host)).to.equal(undefined);
    const claim = await claimInstance(host, ignore);
    expect(await instanceHolder(host)).to.have.property('pid', process.pid);
    if (claim.isOurs) claim.release();
  });

  it('is not the turn to change rules, which is waited for', async () => {
    const first = await claimTurn(host, 0);
    expect(await claimTurn(host, 1)).to.have.nested.property('holder.pid', process.pid);
    const second = claimTurn(host, 60);
    expect(await turnHolder(host)).to.have.property('pid', process.pid);
    if (first.isOurs) first.release();
    const claim = await second;
    expect(claim.isOurs).to.equal(true);
    if (claim.isOurs) claim.release();
    (await claimWhenFree()).release();
  });

  it('cannot be made without flock, and the error says so', async () => {
    const paths = {
      searched: ['/nowhere'],
      find: (tool: string) => (tool === 'flock' ? undefined : host.paths.find(tool)),
    };
    const error = await rejection(claimInstance({ ...host, follow: createFollow({ paths }) }, ignore));
    expect((error as Error).message).to.contain('flock: not installed');
  });

  const claimWhenFree = async () => {
    for (;;) {
      const claim = await claimInstance(host, ignore);
      if (claim.isOurs) return claim;
    }
  };
});
