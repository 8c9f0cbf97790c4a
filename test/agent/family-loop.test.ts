import { expect } from 'chai';
import type { Backend } from '../../src/agent/backend.ts';
import type { Drift } from '../../src/agent/drift.ts';
import { FamilyLoop } from '../../src/agent/family-loop.ts';
import type { FamilyHandlers, Synced } from '../../src/agent/family-handlers.ts';
import type { Commit } from '../../src/kernel/monitor.ts';
import { buildModel } from '../../src/model/build.ts';
import type { ClusterState } from '../../src/source/objects.ts';
import { FakeKernel } from '../support/fake-kernel.ts';
import { endpoint, manyServices, modelOptions, port, service, slice, state, withEndpoints } from '../support/state.ts';
import { FakeClock, settle } from './fake-clock.ts';

const web = () => state([service()], [slice([endpoint('10.244.0.5')])]);

describe('agent/family-loop', () => {
  interface Special {
    readonly isWatched?: boolean;
    readonly isDryRun?: boolean;
    readonly state?: ClusterState | undefined;
    readonly listening?: () => Promise<void>;
    readonly kernel?: FakeKernel;
    readonly clock?: FakeClock;
    readonly backend?: Backend;
    /** Before each model is built. */
    readonly beforeModel?: () => void;
  }

  function setUp(more: Special = {}) {
    const clock = more.clock ?? new FakeClock();
    const kernel = more.kernel ?? new FakeKernel();
    const options = modelOptions();
    const told = { synced: [] as Synced[], drift: [] as Drift[], doubts: [] as string[], failures: [] as unknown[] };
    const seen = { verified: 0, plans: 0, contested: 0, inFront: [] as string[] };
    let current: ClusterState | undefined = 'state' in more ? more.state : web();
    const handlers: FamilyHandlers = {
      onBegun: () => undefined,
      onSynced: (synced) => told.synced.push(synced),
      onFailed: (error) => told.failures.push(error),
      onDoubt: (why) => told.doubts.push(why),
      onVerified: () => (seen.verified += 1),
      onDrift: (drift) => told.drift.push(drift),
      onContested: () => (seen.contested += 1),
      onRulesInFront: (found) => seen.inFront.push(...found.flatMap(({ rules }) => rules)),
      onPlan: () => (seen.plans += 1),
    };
    const loop = new FamilyLoop({
      ...{ backend: more.backend ?? kernel.backend(), clock, date: () => new Date(clock.now()), handlers },
      ...{ minIntervalMs: 1_000, retryIntervalMs: 30_000, maxIntervalMs: 3_600_000 },
      isWatched: more.isWatched ?? true,
      listening: more.listening ?? (() => Promise.resolve()),
      isDryRun: more.isDryRun ?? false,
      model: () => {
        more.beforeModel?.();
        return current === undefined ? undefined : buildModel(current, options);
      },
    });
    const becomes = async (next: ClusterState) => {
      current = next;
      loop.request();
      await clock.advance(1_100);
    };
    const start = async () => {
      loop.request();
      await clock.advance(100);
    };
    return { clock, kernel, loop, becomes, start, ...told, seen };
  }

  const commit = (...changes: string[]): Commit => ({
    ...{ generation: 2, pid: 77, processName: 'iptables-nft', changes, changeCount: changes.length },
  });
  const flushed = commit('delete rule ip nat KUBE-SERVICES handle 9');

  it('writes nothing while there is no complete state', async () => {
    const { kernel, start, seen } = setUp({ state: undefined });
    await start();
    expect([kernel.lists, kernel.scripts.length, seen.verified]).to.deep.equal([0, 0, 0]);
  });

  it('reads, writes, and reads again before it calls the rules verified', async () => {
    const { kernel, start, seen, loop } = setUp();
    await start();
    expect(kernel.lists).to.equal(2);
    expect(kernel.save()).to.include('10.244.0.5:8080');
    expect(seen.verified).to.be.greaterThan(0);
    expect(loop.times()).to.have.length(1);
    expect(loop.times()[0]).to.include.keys('desired', 'applied', 'verified');
  });

  it('does not read before commits are told, and then once', async () => {
    let listens: () => void = () => undefined;
    const listening = () => new Promise<void>((resolve) => (listens = resolve));
    const { kernel, start, loop, clock } = setUp({ listening });
    await start();
    loop.readAgain();
    await clock.advance(3_000);
    expect(kernel.lists).to.equal(0);
    loop.readAgain();
    listens();
    await clock.advance(3_000);
    // What it wrote on an empty kernel is read once more, and that waits too.
    expect(kernel.lists).to.equal(1);
  });

  it('writes nothing on correct rules, and finds them with one reading', async () => {
    const first = setUp();
    await first.start();
    const second = setUp();
    second.kernel.load(first.kernel.save());
    second.kernel.scripts.length = 0;
    await second.start();
    expect([second.kernel.lists, second.kernel.scripts.length]).to.deep.equal([1, 0]);
    expect(second.seen.verified).to.be.greaterThan(0);
  });

  it('follows changes without reading, and looks again later', async () => {
    const { kernel, start, becomes, clock } = setUp();
    await start();
    await becomes(withEndpoints(web(), 'web', [endpoint('10.244.0.6')]));
    expect(kernel.lists).to.equal(2);
    expect(kernel.save()).to.include('10.244.0.6:8080').and.not.to.include('10.244.0.5');
    await clock.advance(10_000);
    expect(kernel.lists).to.equal(3);
    await clock.advance(600_000);
    expect(kernel.lists).to.equal(3);
  });

  it('makes one sync of a burst', async () => {
    const { loop, start, synced, clock } = setUp();
    await start();
    const before = synced.length;
    for (let i = 0; i < 100; i++) loop.request();
    await clock.advance(5_000);
    expect(synced.length - before).to.equal(1);
  });

  it('puts right what a foreign commit changed within a second, and says what and who', async () => {
    const { kernel, start, loop, clock, drift, seen } = setUp();
    await start();
    const good = kernel.save();
    const verified = seen.verified;
    kernel.tamper('nat', '-F KUBE-SERVICES');
    loop.foreignCommit(flushed);
    await clock.advance(500);
    expect(kernel.save().split('\n').sort()).to.deep.equal(good.split('\n').sort());
    expect(drift).to.have.length(1);
    expect(drift[0]!.writers).to.deep.equal([{ pid: 77, processName: 'iptables-nft' }]);
    expect(drift[0]!.changes.map(({ service: of }) => of?.name)).to.include('web');
    expect(seen.verified).to.be.greaterThan(verified);
  });

  it('doubts the rules from the foreign commit until they are found', async () => {
    const { kernel, start, loop, doubts } = setUp();
    await start();
    kernel.tamper('nat', '-F KUBE-SERVICES');
    loop.foreignCommit(flushed);
    expect(doubts.at(-1)).to.include('iptables-nft (process 77)');
  });

  it('does not read for commits to what is not ours', async () => {
    const { kernel, start, loop, clock } = setUp();
    await start();
    loop.foreignCommit(commit('add rule ip nat CNI-HOSTPORT-DNAT counter', 'add rule ip6 nat KUBE-SERVICES counter'));
    loop.foreignCommit(commit('add element inet firewall blocked { 10.0.0.1 }'));
    await clock.advance(5_000);
    expect(kernel.lists).to.equal(2);
  });

  it('does not write for ever at once what a tool prints as if it were not there, and verifies it once it does', async () => {
    const kernel = new FakeKernel();
    const backend = kernel.backend();
    let looks = 0;
    let isBlind = true;
    const blind: Backend['listing'] = (known) => {
      looks += 1;
      if (!isBlind) return backend.listing(known);
      // Without this a loop that never waits would not end for the test either.
      return looks > 1_000 ? new Promise(() => undefined) : Promise.resolve({ fingerprint: `${looks}`, text: '' });
    };
    const { start, clock, seen } = setUp({ kernel, backend: { ...backend, listing: blind } });
    await start();
    await clock.advance(600_000);
    expect(looks).to.be.within(5, 25);
    expect(kernel.scripts.length).to.be.at.most(25);
    expect(seen.verified).to.equal(0);
    isBlind = false;
    await clock.advance(120_000);
    expect(seen.verified).to.be.greaterThan(0);
  });

  it('meets a writer that goes on fighting with growing waits, and names it', async () => {
    const { kernel, start, loop, clock, drift, seen } = setUp();
    await start();
    for (let second = 0; second < 120; second++) {
      if ((kernel.chains('nat').get('KUBE-SERVICES')?.rules.length ?? 0) > 0) kernel.tamper('nat', '-F KUBE-SERVICES');
      loop.foreignCommit(flushed);
      await clock.advance(1_000);
    }
    expect(drift.length).to.be.within(6, 14);
    expect(seen.contested).to.be.greaterThan(0);
  });

  it('does not let one contested object delay the repair of another', async () => {
    const { kernel, start, loop, clock } = setUp();
    await start();
    for (let round = 0; round < 20; round++) {
      kernel.tamper('nat', '-F KUBE-SERVICES');
      loop.foreignCommit(flushed);
      await clock.advance(100);
    }
    kernel.tamper('nat', '-F KUBE-POSTROUTING');
    loop.foreignCommit(commit('delete rule ip nat KUBE-POSTROUTING handle 3'));
    await clock.advance(900);
    expect(kernel.chains('nat').get('KUBE-POSTROUTING')!.rules.length).to.be.greaterThan(0);
  });

  it('finds unwatched drift on a schedule, within half a minute', async () => {
    const { kernel, start, clock, drift } = setUp({ isWatched: false });
    await start();
    await clock.advance(600_000);
    kernel.tamper('nat', '-F KUBE-SERVICES');
    await clock.advance(30_000);
    expect(drift).to.have.length(1);
    expect(drift[0]!.writers).to.deep.equal([]);
    expect(kernel.chains('nat').get('KUBE-SERVICES')!.rules.length).to.be.greaterThan(0);
  });

  it('takes rules that are as they were found for right without a comparison, however packets are counted', async () => {
    const kernel = new FakeKernel();
    kernel.countsPackets = true;
    let parsed = 0;
    const backend = kernel.backend();
    const counting = {
      ...backend,
      parse: (text: string) => {
        parsed += 1;
        return backend.parse(text);
      },
    };
    const { start, becomes, clock, drift, seen } = setUp({ isWatched: false, kernel, backend: counting });
    await start();
    await clock.advance(120_000);
    expect(kernel.lists).to.be.greaterThan(5);
    expect(parsed).to.equal(2);
    expect(seen.verified).to.be.greaterThan(5);
    await becomes(state([service()], [slice([endpoint('10.244.0.9')])]));
    await clock.advance(6_000);
    expect(parsed).to.equal(3);
    kernel.load('*nat\n-D KUBE-SERVICES 1\nCOMMIT\n');
    await clock.advance(30_000);
    expect(drift).to.have.length(1);
    expect(kernel.save()).to.include('10.244.0.9');
  });

  it('leaves rules in front of ours alone and tells of them', async () => {
    const { kernel, start, loop, clock, seen } = setUp();
    await start();
    kernel.tamper('nat', '-I PREROUTING -s 10.9.9.9/32 -j ACCEPT');
    loop.foreignCommit(commit('insert rule ip nat PREROUTING ip saddr 10.9.9.9 accept'));
    await clock.advance(500);
    expect(seen.inFront).to.include('-A PREROUTING -s 10.9.9.9/32 -j ACCEPT');
    expect(kernel.chains('nat').get('PREROUTING')!.rules[0]).to.equal('-A PREROUTING -s 10.9.9.9/32 -j ACCEPT');
  });

  it('leaves a Service that the kernel refuses as it was, does the rest, and tries it again when it changes', async () => {
    const { kernel, start, becomes, loop, synced } = setUp();
    await start();
    kernel.refuses = '10.244.0.66';
    const other = service({ clusterIP: '10.96.0.20', ports: [port()] }, { name: 'db' });
    const both = (address: string) =>
      state([service(), other], [slice([endpoint(address)]), slice([endpoint('10.244.1.1')], {}, 'db')]);
    await becomes(both('10.244.0.66'));
    expect(synced.at(-1)!.refusals.map(({ service: of }) => of.name)).to.deep.equal(['web']);
    expect(kernel.save()).to.include('10.244.0.5:8080').and.to.include('10.244.1.1:8080');
    expect(loop.quarantined).to.have.length(1);
    await becomes(both('10.244.0.7'));
    expect(kernel.save()).to.include('10.244.0.7:8080').and.not.to.include('10.244.0.5');
    expect(loop.quarantined).to.have.length(0);
  });

  it('tries again within a second while a lock is held, without reading', async () => {
    const { kernel, start, becomes, clock, failures } = setUp();
    await start();
    kernel.failure = () => 'lock-held';
    await becomes(withEndpoints(web(), 'web', [endpoint('10.244.0.6')]));
    await clock.advance(20_000);
    expect(failures.length).to.be.within(15, 40);
    const { lists } = kernel;
    kernel.failure = () => undefined;
    await clock.advance(1_000);
    expect(kernel.save()).to.include('10.244.0.6');
    expect(lists).to.equal(2);
  });

  it('does not call the rules of before a failed write verified', async () => {
    const { kernel, start, becomes, clock, loop, seen } = setUp({ isWatched: false });
    await start();
    kernel.failure = () => 'lock-held';
    await becomes(withEndpoints(web(), 'web', [endpoint('10.244.0.6')]));
    const { lists } = kernel;
    const { verified } = seen;
    await clock.advance(60_000);
    expect(kernel.lists).to.be.greaterThan(lists);
    expect(seen.verified).to.equal(verified);
    expect(loop.times()[0]).to.not.include.keys('applied', 'verified');
    kernel.failure = () => undefined;
    await clock.advance(5_000);
    expect(seen.verified).to.be.greaterThan(verified);
    expect(loop.times()[0]).to.include.keys('applied', 'verified');
  });

  it('reads again after a failure, and accuses nobody of what it left', async () => {
    const { kernel, start, becomes, clock, drift, failures } = setUp();
    await start();
    let left = 1;
    kernel.failure = () => (left-- > 0 ? 'killed' : undefined);
    await becomes(withEndpoints(web(), 'web', [endpoint('10.244.0.6')]));
    await clock.advance(5_000);
    expect(failures).to.have.length(1);
    expect(drift).to.deep.equal([]);
    expect(kernel.save()).to.include('10.244.0.6');
  });

  it('concludes nothing from rules that cannot be read', async () => {
    const { kernel, start, loop, clock, failures } = setUp();
    await start();
    const before = kernel.save();
    kernel.listFailure = 'table nat is incompatible';
    loop.readAgain();
    await clock.advance(60_000);
    expect(failures.length).to.be.within(2, 10);
    expect(kernel.save()).to.equal(before);
  });

  it('writes nothing in a dry run', async () => {
    const { kernel, start, seen, doubts } = setUp({ isDryRun: true });
    await start();
    expect(kernel.scripts).to.deep.equal([]);
    expect(seen.plans).to.equal(1);
    expect(doubts.at(-1)).to.include('dry run');
  });

  it('gives a full node first what already has endpoints', async () => {
    const all = manyServices(600, 1);
    const slices = new Map([...all.slices].slice(0, 300));
    const { kernel, start } = setUp({ state: { ...all, slices } });
    await start();
    // A model of this size is rendered in pieces, with turns for others in between.
    for (let turn = 0; turn < 5; turn++) await settle();
    const changes = kernel.scripts.filter((script) => script.includes('KUBE-SERVICES'));
    const first = changes.findIndex((script) => script.includes('default/svc-000000:http'));
    const rejecting = changes.findIndex((script) => script.includes('default/svc-000599:http has no endpoints'));
    expect(first).to.be.greaterThan(-1);
    expect(rejecting).to.be.greaterThan(first);
  });

  it('takes its time for the next try when a mistake of ours ends a sync whose reading is due', async () => {
    let mistakes = 0;
    let isBroken = false;
    const beforeModel = () => {
      if (!isBroken || mistakes >= 1_000) return;
      mistakes += 1;
      throw new Error('a mistake of ours');
    };
    const { start, clock } = setUp({ isWatched: false, beforeModel });
    await start();
    isBroken = true;
    await clock.advance(120_000);
    expect(mistakes).to.be.within(3, 12);
  });

  it('finds unwatched drift of rules that were right when it began', async () => {
    const first = setUp();
    await first.start();
    const { kernel, start, clock, drift } = setUp({ isWatched: false });
    kernel.load(first.kernel.save());
    await start();
    kernel.tamper('nat', '-F KUBE-SERVICES');
    await clock.advance(30_000);
    expect(drift).to.have.length(1);
  });

  it('tells again and again what a dry run would do about unwatched rules', async () => {
    const { start, clock, seen } = setUp({ isWatched: false, isDryRun: true });
    await start();
    await clock.advance(120_000);
    expect(seen.plans).to.be.greaterThan(3);
  });

  it('looks at rules that a failed write made doubtful when the change is taken back', async () => {
    const { kernel, start, becomes, clock, seen } = setUp();
    await start();
    kernel.failure = () => 'lock-held';
    await becomes(withEndpoints(web(), 'web', [endpoint('10.244.0.6')]));
    const { verified } = seen;
    await becomes(web());
    kernel.failure = () => undefined;
    await clock.advance(10_000);
    expect(seen.verified).to.be.greaterThan(verified);
  });

  it('repairs contested rules seldom also while Services change all the time', async () => {
    const { kernel, start, loop, becomes, drift } = setUp();
    await start();
    for (let second = 0; second < 120; second++) {
      if ((kernel.chains('nat').get('KUBE-SERVICES')?.rules.length ?? 0) > 0) kernel.tamper('nat', '-F KUBE-SERVICES');
      loop.foreignCommit(flushed);
      await becomes(withEndpoints(web(), 'web', [endpoint(`10.244.0.${second % 2 === 0 ? 6 : 7}`)]));
    }
    expect(drift.length).to.be.within(6, 14);
  });

  it('accuses nobody of what it could not remove, also when it has written other things since', async () => {
    const { kernel, start, becomes, clock, drift, synced } = setUp();
    const other = (address: string) =>
      state([service({ clusterIP: '10.96.0.20' }, { name: 'db' })], [slice([endpoint(address)], {}, 'db')]);
    await start();
    const [chain = ''] = [...kernel.chains('nat').keys()].filter((name) => name.startsWith('KUBE-SVC-'));
    kernel.tamper('nat', `-A OUTPUT -j ${chain}`);
    await becomes(other('10.244.1.1'));
    expect(synced.at(-1)!.leftovers).to.have.length(1);
    await becomes(other('10.244.1.2'));
    await clock.advance(60_000);
    expect(drift).to.deep.equal([]);
  });

  for (const { title, tell } of [
    {
      title: 'commits that changed nothing',
      tell: (loop: FamilyLoop) => {
        loop.foreignCommit(flushed);
      },
    },
    {
      title: 'commits that may have been missed',
      tell: (loop: FamilyLoop) => {
        loop.readAgain();
      },
    },
  ]) {
    it(`spends a small part of its time on reading for ${title}`, async () => {
      const kernel = new FakeKernel();
      const clock = new FakeClock();
      const backend = kernel.backend();
      const listing = async (known?: string) => {
        await new Promise<void>((resolve) => clock.after(500, resolve));
        return await backend.listing(known);
      };
      const { start, loop } = setUp({ kernel, clock, backend: { ...backend, listing } });
      await start();
      await clock.advance(5_000);
      const { lists } = kernel;
      for (let tenth = 0; tenth < 600; tenth++) {
        tell(loop);
        await clock.advance(100);
      }
      expect(kernel.lists - lists).to.be.within(5, 24);
    });
  }
});
