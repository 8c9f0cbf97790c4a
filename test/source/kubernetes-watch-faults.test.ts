import { expect } from 'chai';
import { apiService, apiSlice, createClusterLab } from '../support/cluster-lab.ts';
import type { ClusterLab, ClusterLabOptions } from '../support/cluster-lab.ts';
import type { Fault } from '../support/fake-api-fault.ts';
import type { FakeApiServer } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';
import type { LiveWatch } from '../support/fake-api-watch.ts';

describe('cluster source: a server that misbehaves when it is watched', () => {
  let server: FakeApiServer;
  let lab: ClusterLab;

  const begin = async (options: ClusterLabOptions = {}) => {
    lab = createClusterLab(server, options);
    await lab.ready();
  };
  const serviceWatch = (): LiveWatch => {
    const [watch] = server.watches('services');
    if (watch === undefined) throw new Error('nobody watches services');
    return watch;
  };

  beforeEach(async () => {
    server = await startFakeApiServer();
    server.set(apiService('web'), apiSlice('web-1', 'web', ['10.0.0.1']), {
      kind: 'Node',
      metadata: { name: 'node-1' },
    });
  });
  afterEach(async () => {
    await lab.end();
    await server.goDown();
  });

  describe('on a watch', () => {
    it('takes over where a cut connection stopped, without a list', async () => {
      await begin();
      serviceWatch().cut();
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 2000);
      expect(server.count('watchList', 'services')).to.equal(1);
      expect(lab.reconnects).to.deep.equal(['services broken']);
    });

    it('takes over where a connection was cut in the middle of a line', async () => {
      await begin();
      serviceWatch().write('{"type":"DELETED","object":{"kind":"Service","metadata":{"name":"w');
      serviceWatch().cut();
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 2000);
      expect(lab.source.status().get('services')?.lists).to.equal(1);
    });

    it('goes on when the server ends it in good order', async () => {
      await begin();
      serviceWatch().end();
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 2000);
      expect(lab.lines).to.deep.equal([]);
    });

    const broken: readonly { readonly title: string; readonly act: (watch: LiveWatch) => void }[] = [
      {
        title: 'a line that is not JSON',
        act: (watch) => {
          watch.write('{"type":"MODIFIED","object":{"kind":"Endpo\n');
        },
      },
      {
        title: 'a last line without an end',
        act: (watch) => {
          watch.write('{"type":"DELETED","obj');
          watch.end();
        },
      },
      {
        title: '410',
        act: (watch) => {
          watch.fail(410);
        },
      },
      {
        title: 'an event without a resourceVersion',
        act: (watch) => {
          watch.send('DELETED', { kind: 'Service', metadata: { name: 'web', namespace: 'default' } });
        },
      },
      {
        title: 'a line that never ends',
        act: (watch) => {
          watch.write(`{"${'x'.repeat(9_000_000)}`);
        },
      },
    ];
    for (const { title, act } of broken) {
      it(`compares with a new list after ${title}, and nothing changes`, async () => {
        await begin();
        const before = lab.snapshot();
        act(serviceWatch());
        server.set(apiService('api'));
        await lab.sees(['api', 'web'], 2000);
        expect(lab.snapshot().services[1]).to.equal(before.services[0]);
        expect(lab.snapshot().slices).to.equal(before.slices);
        expect(lab.source.status().get('services')?.lists).to.equal(2);
      });
    }

    it('says nothing when the server has forgotten a version once', async () => {
      await begin();
      serviceWatch().fail(410);
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 2000);
      expect(lab.lines.filter((line) => !line.startsWith('debug'))).to.deep.equal([]);
    });

    const ends: readonly { readonly end: string; readonly act: (watch: LiveWatch) => void }[] = [
      {
        end: 'timeout',
        act: (watch) => {
          watch.end();
        },
      },
      {
        end: 'broken',
        act: (watch) => {
          watch.cut();
        },
      },
      {
        end: 'expired',
        act: (watch) => {
          watch.fail(410);
        },
      },
      {
        end: 'error',
        act: (watch) => {
          watch.fail(500);
        },
      },
      {
        end: 'malformed',
        act: (watch) => {
          watch.write('nonsense\n');
        },
      },
      {
        end: 'silent',
        act: (watch) => {
          watch.mute();
        },
      },
    ];
    for (const { end, act } of ends) {
      it(`tells that a watch was opened again after one that came to the end "${end}"`, async () => {
        await begin();
        act(serviceWatch());
        const isTold = () => lab.reconnects.includes(`services ${end}`);
        await lab.clock.runUntil('a new watch', isTold, { withinMs: 100_000, stepMs: 200 });
      });
    }

    it('counts an outage once, by what ended the watch, however often it asks meanwhile', async () => {
      await begin();
      const cut = server.misbehave({ fault: { kind: 'status', code: 500 }, resource: 'services' });
      serviceWatch().cut();
      await lab.clock.run(120_000, { stepMs: 500 });
      cut();
      await lab.clock.runUntil('a new watch', () => lab.reconnects.some((one) => one.startsWith('services')));
      expect(lab.reconnects.filter((one) => one.startsWith('services'))).to.deep.equal(['services broken']);
    });

    it('is never blind for long while watches work for a few seconds each', async () => {
      await begin();
      let longestMs = 0;
      for (let round = 0; round < 12; round++) {
        const startedAt = lab.clock.now();
        server.set(apiService(`s${round}`));
        const isSeen = () => lab.names().includes(`s${round}`);
        await lab.clock.runUntil('the change', isSeen, { withinMs: 60_000, stepMs: 100 });
        longestMs = Math.max(longestMs, lab.clock.now() - startedAt);
        await lab.clock.run(3_000, { stepMs: 500 });
        serviceWatch().cut();
      }
      expect(longestMs).to.be.within(1_000, 5_500);
    });

    it('backs off when each new stream is broken again', async () => {
      await begin();
      server.misbehave({ fault: { kind: 'text', body: 'nonsense\n' }, resource: 'services' });
      serviceWatch().write('nonsense\n');
      await lab.clock.run(60_000, { stepMs: 200 });
      expect(server.count(undefined, 'services')).to.be.within(4, 12);
      expect(lab.names()).to.deep.equal(['web']);
    });

    it('resumes after an internal error', async () => {
      await begin();
      serviceWatch().fail(500);
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 3000);
      expect(server.count('watchList', 'services')).to.equal(1);
    });

    it('notices a mute watch by the missing bookmarks, and catches up', async () => {
      await begin();
      serviceWatch().mute();
      server.set(apiService('api'));
      await lab.clock.run(60_000, { stepMs: 500 });
      expect(lab.names()).to.deep.equal(['web']);
      await lab.sees(['api', 'web'], 40_000);
      expect(server.count('watchList', 'services')).to.equal(1);
    });

    it('is not disturbed while bookmarks come, and resumes from the last', async () => {
      await begin();
      server.set(apiSlice('web-2', 'web', ['10.0.0.2']));
      for (let minute = 0; minute < 5; minute += 1) {
        await lab.clock.run(60_000, { stepMs: 2000 });
        server.sendBookmarks();
      }
      await lab.clock.run(1000);
      expect(server.count('watch')).to.equal(0);
      serviceWatch().cut();
      await lab.clock.runUntil('a new watch', () => server.count('watch', 'services') === 1);
      const [watch] = server.requests.filter(({ verb }) => verb === 'watch');
      expect(watch?.query.get('resourceVersion')).to.equal(String(server.storage.version));
    });

    it('lists again when a watch stays silent twice', async () => {
      await begin();
      const end = server.misbehave({ fault: { kind: 'mute' }, verb: 'watch', resource: 'services' });
      serviceWatch().mute();
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 190_000);
      end();
      expect(server.count('watchList', 'services')).to.equal(2);
    });

    it('lists again within 100 s when a restored server never reaches the version it knows', async () => {
      await begin();
      await server.goDown();
      server.restore(500);
      server.delete('Service', 'web');
      server.set(apiService('api'));
      await server.comeBack();
      await lab.sees(['api'], 100_000);
    });

    const barren: readonly { readonly title: string; readonly fault: Fault }[] = [
      { title: 'ends at once', fault: { kind: 'text', body: '' } },
      {
        title: 'cannot read the next event',
        fault: { kind: 'text', body: '{"type":"ERROR","object":{"kind":"Status","code":500}}\n' },
      },
    ];
    for (const { title, fault } of barren) {
      it(`lists again when each watch from the version it knows ${title}`, async () => {
        await begin();
        server.misbehave({ fault, verb: 'watch', resource: 'services' });
        serviceWatch().cut();
        server.set(apiService('api'));
        await lab.sees(['api', 'web'], 20_000);
      });
    }

    it('lists seldom while the server ends each watch at once', async () => {
      await begin();
      const before = server.count('watchList', 'services');
      for (let tenth = 0; tenth < 1200; tenth += 1) {
        for (const watch of server.watches('services')) watch.end();
        await lab.clock.run(100);
      }
      expect(server.count('watchList', 'services') - before).to.be.within(3, 10);
    });

    it('ignores event types it does not know, other kinds, and deletions of the unknown', async () => {
      await begin();
      const watch = serviceWatch();
      const other = { kind: 'Pod', metadata: { name: 'web', namespace: 'default', resourceVersion: '5000' } };
      watch.send('SPLIT', other);
      watch.send('DELETED', other);
      watch.send('ADDED', other);
      watch.send('DELETED', { ...other, kind: 'Service', metadata: { ...other.metadata, name: 'nobody' } });
      watch.send('MODIFIED', {
        ...apiService('new'),
        metadata: { name: 'new', namespace: 'default', resourceVersion: '5001' },
      });
      await lab.sees(['new', 'web']);
    });

    it('takes the last event of each object, repeated or out of order', async () => {
      await begin();
      const watch = serviceWatch();
      const version = (clusterIP: string, resourceVersion: string) => ({
        ...apiService('web', { clusterIP }),
        metadata: { name: 'web', namespace: 'default', uid: 'u', resourceVersion },
      });
      watch.send('MODIFIED', version('10.96.0.3', '5003'));
      watch.send('MODIFIED', version('10.96.0.2', '5002'));
      watch.send('MODIFIED', version('10.96.0.2', '5002'));
      await lab.clock.runUntil('the last', () => lab.snapshot().services[0]?.spec.clusterIP === '10.96.0.2');
    });

    it('keeps a Service that was created anew when the deletion of the old one comes late', async () => {
      await begin();
      const old = lab.snapshot().services[0]?.metadata;
      server.recreate(apiService('web', { clusterIP: '10.96.0.9' }));
      await lab.clock.runUntil('the new one', () => lab.snapshot().services[0]?.spec.clusterIP === '10.96.0.9');
      serviceWatch().send('DELETED', {
        ...apiService('web'),
        metadata: { ...old, resourceVersion: String(server.storage.version + 1) },
      });
      server.set(apiService('zz'));
      await lab.sees(['web', 'zz']);
    });

    it('takes ten thousand events in one piece', async () => {
      await begin();
      const lines: string[] = [];
      for (let n = 0; n < 10_000; n += 1) {
        const service = apiService(`s${n % 100}`, { clusterIP: `10.97.0.${n % 250}` });
        const object = { ...service, metadata: { ...service.metadata, resourceVersion: String(6000 + n) } };
        lines.push(JSON.stringify({ type: 'MODIFIED', object }));
      }
      serviceWatch().write(`${lines.join('\n')}\n`);
      await lab.clock.runUntil('all events', () => (lab.source.status().get('services')?.events ?? 0) > 10_000);
      expect(lab.names()).to.have.length(101);
    });

    it('is not poisoned by keys that JavaScript objects have', async () => {
      await begin();
      const poison = '{"__proto__":{"polluted":true},"constructor":1,';
      const text = JSON.stringify({
        type: 'ADDED',
        object: {
          ...apiService('evil'),
          metadata: { name: 'constructor', namespace: '__proto__', resourceVersion: '7000' },
        },
      });
      serviceWatch().write(`${text.replaceAll('{', poison).replaceAll(',}', '}')}\n`);
      await lab.sees(['constructor', 'web']);
      expect(({} as { polluted?: boolean }).polluted).to.equal(undefined);
    });
  });

  describe('when it is away', () => {
    it('keeps what it knows, asks seldom, and catches up within a second of its return', async () => {
      await begin();
      const before = lab.snapshot();
      await server.goDown();
      await lab.clock.run(3_600_000, { stepMs: 5000 });
      expect(lab.snapshot()).to.equal(before);
      server.set(apiService('api'));
      server.delete('Service', 'web');
      await server.comeBack();
      await lab.sees(['api'], 1500);
      expect(server.count('watchList', 'services')).to.equal(1);
    });

    it('removes what vanished meanwhile when its history is gone too', async () => {
      await begin();
      await server.goDown();
      await lab.clock.run(10_000);
      server.set(apiService('api'));
      server.delete('Service', 'web');
      server.forgetHistory();
      await server.comeBack();
      await lab.sees(['api'], 4000);
    });

    it('says so once, and once that it is back', async () => {
      await begin();
      await server.goDown();
      await lab.clock.run(120_000, { stepMs: 1000 });
      await server.comeBack();
      await lab.clock.run(3000);
      const about = lab.lines.filter((line) => line.includes('"services"') && !line.startsWith('debug'));
      expect(about.filter((line) => line.startsWith('warn')).length).to.be.within(1, 3);
      expect(about.filter((line) => line.startsWith('info'))).to.have.length(1);
    });

    it('returns within 15 s from a server that took connections and did not answer', async () => {
      await begin();
      const end = server.misbehave({ fault: { kind: 'hang' } });
      serviceWatch().cut();
      const before = server.count(undefined, 'services');
      await lab.clock.run(120_000, { stepMs: 500 });
      expect(server.count(undefined, 'services') - before).to.be.within(7, 14);
      end();
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 15_000);
    });
  });
});
