import { expect } from 'chai';
import { createIptablesTools } from '../../src/kernel/iptables-tools.ts';
import { nftListener, xtablesListener, type Listener } from '../../src/kernel/listener.ts';
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
    await start(nftListener);
  });
  afterEach(async () => {
    monitor.stop();
    await lab.remove();
  });

  async function start(...listeners: [Listener, ...Listener[]]): Promise<void> {
    const follow: typeof lab.follow = (tool, args, handlers) => {
      const following = lab.follow(tool, args, handlers);
      if (following.pid !== undefined) pids.push(following.pid);
      return following;
    };
    const onCommit = (commit: Commit) => commits.push(commit);
    const onGap = (reason: string) => gaps.push(reason);
    monitor = startMonitor({ follow, files: lab.files }, listeners, { onCommit, onGap });
    await until(() => gaps.some((reason) => reason.includes('listens')));
  }

  /** With other listeners than the one that all begin with. */
  async function startAgain(...listeners: [Listener, ...Listener[]]): Promise<void> {
    monitor.stop();
    [commits, gaps, pids] = [[], [], []];
    await start(...listeners);
  }

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
    const onGap = (reason: string) => told.push(reason);
    startMonitor({ follow, files: lab.files }, [nftListener], { onCommit, onGap }).stop();
    expect(told).to.deep.equal(['nft monitor: We lost some netlink events!', '28449 a (strange) name: add table ip x']);
  });

  it('tells the same of chains and rules by either listener', async () => {
    const told: string[][] = [];
    for (const listener of [nftListener, xtablesListener]) {
      await startAgain(listener);
      await lab.namespace.shell(`
        iptables-nft -t nat -N KUBE-A
        iptables-nft -t nat -A KUBE-A -m comment --comment "a b" -j RETURN
        iptables-nft -t nat -A POSTROUTING -j KUBE-A
        iptables-nft -t nat -D KUBE-A 1
        ip6tables-nft -P FORWARD DROP
        nft delete table ip nat
        nft delete table ip6 filter`);
      await until(() => commits.length === 7);
      const inShort = (change: string) => change.split(' ').slice(0, 5).join(' ');
      const ofChains = (change: string) => /^(?:add|delete) (?:rule|chain) ip6? /.test(change);
      told.push(commits.map(({ changes }) => changes.filter(ofChains).map(inShort).sort().join('; ')));
    }
    // Of a new chain nft monitor tells nothing.
    expect(told[1]?.[0]).to.equal('add chain ip nat KUBE-A');
    expect(told[1]?.slice(1, 4)).to.deep.equal(told[0]?.slice(1, 4));
    expect(commits.map(({ processName }) => processName)).to.include.members(['iptables-nft', 'ip6tables-nft', 'nft']);
    expect(commits.flatMap(({ changes }) => changes)).to.include.members([
      'add rule ip nat KUBE-A -m comment --comment "a b" -j RETURN',
      'delete table ip nat',
      'delete table ip6 filter',
    ]);
  });

  it('lets us recognise our own commits by that of iptables too', async () => {
    await startAgain(xtablesListener);
    await createIptablesTools(lab, 'nft').load('IPv4', '*nat\n:KUBE-A - [0:0]\nCOMMIT\n');
    await until(() => commits.length > 0);
    expect(commits[0]?.processName).to.equal(lab.committer.processName);
  });

  it('goes on with the next listener when one does not survive what it is told', async () => {
    await startAgain(xtablesListener, nftListener);
    // No rule that iptables can say.
    await lab.namespace.mustExec('nft', 'add table ip foreign; add chain ip foreign c');
    await lab.namespace.mustExec('nft', 'add rule ip foreign c ct state invalid drop');
    await until(() => gaps.length === 3);
    expect(gaps).to.satisfy(([first, second, third]: string[]) =>
      [first === 'stdbuf listens from now on', second?.includes('ended'), third === 'nft listens from now on'].every(
        Boolean,
      ),
    );
    await lab.namespace.mustExec('nft', 'add table ip later');
    await until(() => commits.at(-1)?.changes[0] === 'add table ip later');
  });

  it('goes on with the next listener when one keeps to itself what it has to tell', async () => {
    await startAgain({ ...xtablesListener, library: 'libnobody' }, nftListener);
    expect(gaps[0]).to.contain('xtables-monitor --event cannot be heard at once');
    expect(gaps[1]).to.equal('nft listens from now on');
  });

  it('does not hear what it is to be deaf to, and says so afterwards', async () => {
    const result = await monitor.deafTo(async () => {
      await lab.namespace.mustExec('nft', 'add table ip unheard');
      return 'done';
    });
    expect(result).to.equal('done');
    await monitor.listening();
    expect(gaps).to.have.length(2);
    await lab.namespace.mustExec('nft', 'add table ip heard');
    await until(() => commits.length > 0);
    expect(commits.map(({ changes }) => changes)).to.deep.equal([['add table ip heard']]);
  });

  it('gives up a listener that does not tell what it must, and no other', async () => {
    const table = (name: string) => () => lab.namespace.mustExec('nft', `add table ip ${name}`);
    await monitor.mustHear(table('told'));
    await until(() => commits.length === 1);
    process.kill(pids[0]!, 'SIGSTOP');
    await monitor.mustHear(table('untold'));
    await until(() => gaps.length === 3);
    expect(gaps.slice(1)).to.deep.equal(['nft told nothing of a commit for 10 s', 'nft listens from now on']);
    await monitor.mustHear(table('told-again'));
    await until(() => commits.length === 2);
    expect(pids).to.have.length(2);
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
