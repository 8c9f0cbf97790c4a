import { expect } from 'chai';
import { createIptablesTools } from '../../src/kernel/iptables-tools.ts';
import { startMonitor, type Commit, type Monitor } from '../../src/kernel/monitor.ts';
import { createNftTool } from '../../src/kernel/nft-tool.ts';
import { createKernelLab, type KernelLab } from './lab.ts';

describe('the monitor', function () {
  this.timeout(60_000);
  let lab: KernelLab;
  let monitor: Monitor;
  let commits: Commit[];
  let gaps: string[];
  let pids: number[];

  beforeEach(async () => {
    lab = await createKernelLab('monitor');
    [commits, gaps, pids] = [[], [], []];
    const follow: typeof lab.follow = (tool, args, handlers) => {
      const following = lab.follow(tool, args, handlers);
      if (following.pid !== undefined) pids.push(following.pid);
      return following;
    };
    monitor = startMonitor(
      { follow, files: lab.files },
      { onCommit: (commit) => commits.push(commit), onGap: (reason) => gaps.push(reason) },
    );
    await until(() => gaps.length === 1);
  });
  afterEach(async () => {
    monitor.stop();
    await lab.remove();
  });

  it('names who committed what, nft and iptables alike', async () => {
    await lab.namespace.mustExec('nft', 'add table ip foreign');
    await lab.namespace.mustExec('iptables-nft', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'ACCEPT');
    await until(() => commits.length === 2);
    expect(commits[0]).to.include({ processName: 'nft', changeCount: 1 });
    expect(commits[0]?.changes).to.deep.equal(['add table ip foreign']);
    expect(commits[1]?.processName).to.equal('iptables-nft');
    expect(commits[1]?.changes.join('\n')).to.contain('add rule ip nat POSTROUTING');
    expect(commits[1]?.generation).to.equal((commits[0]?.generation ?? 0) + 1);
    expect(commits[1]?.pid).to.be.greaterThan(0);
  });

  it('lets us recognise our own commits by their name, of nft and both families of iptables', async () => {
    await createNftTool(lab).load('add table ip kube-proxy\n');
    const tools = createIptablesTools(lab, 'nft');
    await tools.load('IPv4', '*nat\n:KUBE-A - [0:0]\nCOMMIT\n');
    await tools.load('IPv6', '*nat\n:KUBE-A - [0:0]\nCOMMIT\n');
    await until(() => commits.length === 3);
    expect(commits.map((commit) => commit.processName)).to.deep.equal(Array(3).fill(lab.committer.processName));
    expect(lab.committer.processName).to.match(/^portwright-[0-9a-f]{4}$/);
  });

  it('says nothing of reads', async () => {
    await createNftTool(lab).list('IPv4');
    await createIptablesTools(lab, 'nft').list('IPv4');
    await createNftTool(lab).check('add table ip kube-proxy\n');
    await lab.namespace.mustExec('nft', 'add table ip last');
    await until(() => commits.length > 0);
    expect(commits).to.have.length(1);
  });

  it('keeps the first changes of a large commit and counts all', async () => {
    const lines = Array.from({ length: 3_000 }, (_, n) => `add chain ip kube-proxy c${n}\n`).join('');
    await createNftTool(lab).load(`add table ip kube-proxy\n${lines}`);
    await until(() => commits.length === 1);
    expect(commits[0]?.changeCount).to.equal(3_001);
    expect(commits[0]?.changes).to.have.length(100);
  });

  it('comes back when it is killed, and says that something may have been missed', async () => {
    process.kill(pids[0]!, 'SIGKILL');
    await until(() => gaps.length === 3);
    expect(gaps[1]).to.contain('nft ended (SIGKILL)');
    expect(pids).to.have.length(2);
    await lab.namespace.mustExec('nft', 'add table ip foreign');
    await until(() => commits.length === 1);
  });

  it('says that something was missed when the kernel could not keep up', () => {
    const told: string[] = [];
    const follow: typeof lab.follow = (_tool, _args, handlers) => {
      handlers.onLine('add rule ip nat X');
      handlers.onLine('# ERROR: We lost some netlink events!');
      handlers.onLine('add table ip x');
      handlers.onLine('# new generation 4 by process 28449 (a (strange) name)');
      return { stop: () => undefined };
    };
    const onCommit = ({ changes, pid, processName }: Commit) => told.push(`${pid} ${processName}: ${changes.join()}`);
    startMonitor({ follow, files: lab.files }, { onCommit, onGap: (reason) => told.push(reason) }).stop();
    expect(told).to.deep.equal(['nft monitor: We lost some netlink events!', '28449 a (strange) name: add table ip x']);
  });

  it('is silent once stopped', async () => {
    monitor.stop();
    await lab.namespace.mustExec('nft', 'add table ip foreign');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([commits.length, gaps.length]).to.deep.equal([0, 1]);
    expect(() => process.kill(pids[0]!, 0)).to.throw('ESRCH');
  });
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20));
}
