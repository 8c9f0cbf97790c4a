import { expect } from 'chai';
import { apiService, apiSlice, createClusterLab } from '../support/cluster-lab.ts';
import type { ClusterLab, ClusterLabOptions } from '../support/cluster-lab.ts';
import type { FakeApiServer, Misbehaviour } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';
import type { LiveWatch } from '../support/fake-api-watch.ts';

describe('cluster source: a server that misbehaves', () => {
  let server: FakeApiServer;
  let lab: ClusterLab;

  const begin = async (options: ClusterLabOptions = {}) => {
    lab = createClusterLab(server, options);
    await lab.ready();
  };
  const relist = () => {
    server.forgetHistory();
    serviceWatch().cut();
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

  describe('while the first lists are read', () => {
    const faults: readonly { readonly title: string; readonly faults: readonly Misbehaviour[] }[] = [
      { title: '500', faults: [{ fault: { kind: 'status', code: 500 }, times: 8 }] },
      { title: '503 with a page', faults: [{ fault: { kind: 'status', code: 503, html: true }, times: 8 }] },
      { title: '200 with a page', faults: [{ fault: { kind: 'html' }, times: 6 }] },
      {
        title: '200 with a broken line',
        faults: [{ fault: { kind: 'text', body: '{"type":"ADDED","obj' }, times: 6 }],
      },
      {
        title: 'a bare Status',
        faults: [{ fault: { kind: 'text', body: '{"kind":"Status","code":500}\n' }, times: 6 }],
      },
      { title: 'no answer', faults: [{ fault: { kind: 'hang' }, times: 8 }] },
      { title: 'a mute stream', faults: [{ fault: { kind: 'mute' }, times: 4 }] },
      {
        title: 'truncated pages',
        faults: [{ fault: { kind: 'refuseWatchList' } }, { fault: { kind: 'truncate' }, verb: 'list', times: 6 }],
      },
      {
        title: 'pages that end in the middle',
        faults: [{ fault: { kind: 'refuseWatchList' } }, { fault: { kind: 'halve' }, verb: 'list', times: 6 }],
      },
      {
        title: 'pages without a resourceVersion',
        faults: [{ fault: { kind: 'refuseWatchList' } }, { fault: { kind: 'noVersion' }, verb: 'list', times: 6 }],
      },
      {
        title: 'pages in small pieces',
        faults: [{ fault: { kind: 'refuseWatchList' } }, { fault: { kind: 'slow', bytes: 50 }, verb: 'list' }],
      },
    ];
    for (const { title, faults: misbehaviours } of faults) {
      it(`waits for good ones: ${title}`, async () => {
        for (const misbehaviour of misbehaviours) server.misbehave(misbehaviour);
        lab = createClusterLab(server);
        lab.source.start();
        await lab.clock.runUntil('a snapshot', () => lab.source.snapshot() !== undefined, { withinMs: 120_000 });
        expect(lab.names()).to.deep.equal(['web']);
        expect(lab.snapshot().slices.size).to.equal(1);
        expect([...lab.source.status().values()].some(({ lastError }) => lastError !== undefined)).to.equal(false);
      });
    }

    it('is never asked more than once a second for a resource, and less and less often', async () => {
      server.misbehave({ fault: { kind: 'status', code: 500 } });
      lab = createClusterLab(server);
      lab.source.start();
      await lab.clock.run(10_000);
      const early = server.count(undefined, 'services');
      expect(early).to.be.within(3, 10);
      await lab.clock.run(120_000, { stepMs: 500 });
      expect(server.count(undefined, 'services') - early).to.be.within(3, 8);
      expect(lab.source.snapshot()).to.equal(undefined);
    });

    it('waits as long as the server asks', async () => {
      server.misbehave({ fault: { kind: 'status', code: 429, retryAfterSeconds: 7 }, resource: 'services', times: 1 });
      lab = createClusterLab(server);
      lab.source.start();
      await lab.clock.run(6500);
      expect(server.count(undefined, 'services')).to.equal(1);
      await lab.sees(['web'], 2000);
    });

    it('does not wait for longer than half a minute, whatever the server asks', async () => {
      server.misbehave({
        fault: { kind: 'status', code: 503, retryAfterSeconds: 9000 },
        resource: 'services',
        times: 1,
      });
      lab = createClusterLab(server);
      lab.source.start();
      await lab.sees(['web'], 31_000);
    });

    it('names resource and role when the server forbids a resource', async () => {
      server.misbehave({ fault: { kind: 'status', code: 403 }, resource: 'endpointslices' });
      lab = createClusterLab(server);
      lab.source.start();
      await lab.clock.run(2000);
      expect(lab.source.snapshot()).to.equal(undefined);
      expect(lab.source.status().get('endpointslices')?.lastError).to.match(/endpointslices.*403.*system:node-proxier/);
      expect(lab.source.status().get('services')?.isSynced).to.equal(true);
    });

    for (const code of [404, 403]) {
      it(`does without ServiceCIDRs where they are answered with ${code}, and asks again`, async () => {
        const end = server.misbehave({ fault: { kind: 'status', code }, resource: 'servicecidrs' });
        await begin();
        expect(lab.snapshot().serviceCIDRs).to.deep.equal([]);
        end();
        server.set({ kind: 'ServiceCIDR', metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.96.0.0/12'] } });
        await lab.clock.runUntil('the range', () => lab.snapshot().serviceCIDRs.length === 1, {
          withinMs: 310_000,
          stepMs: 1000,
        });
      });
    }

    it('does not follow a redirect', async () => {
      const other = await startFakeApiServer();
      server.misbehave({ fault: { kind: 'redirect', to: `${other.url}/api/v1/services` } });
      lab = createClusterLab(server, { kubeconfig: server.kubeconfig({ token: 'secret-token' }) });
      lab.source.start();
      await lab.clock.run(3000);
      await other.goDown();
      expect(other.requests).to.deep.equal([]);
      expect(lab.source.status().get('services')?.lastError).to.include('Redirects are not followed');
    });

    it('gives up a body that unpacks to more than the limit', async () => {
      server.misbehave({ fault: { kind: 'refuseWatchList' } });
      server.misbehave({ fault: { kind: 'bomb', bytes: 50_000_000 }, verb: 'list', resource: 'services' });
      lab = createClusterLab(server, { limits: { maxBodyBytes: 1_000_000 } });
      lab.source.start();
      await lab.clock.run(1500);
      expect(lab.source.status().get('services')?.lastError).to.include('larger than 1000000 bytes');
    });

    it('reads everything in one answer when pages expire', async () => {
      for (let n = 0; n < 700; n += 1) server.set(apiService(`s${n}`));
      server.misbehave({ fault: { kind: 'refuseWatchList' } });
      lab = createClusterLab(server);
      lab.source.start();
      await lab.clock.runUntil('page 1', () => server.count('list', 'services') === 1);
      server.forgetHistory();
      await lab.clock.runUntil('all', () => lab.names().length === 701);
      expect(
        server.requests.filter(({ query }) => query.get('limit') === null && query.get('watch') === null),
      ).to.have.length(1);
    });
  });

  describe('on a watch', () => {
    it('takes over where a cut connection stopped, without a list', async () => {
      await begin();
      serviceWatch().cut();
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 2000);
      expect(server.count('watchList', 'services')).to.equal(1);
      expect(lab.source.status().get('services')?.reconnects).to.equal(1);
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
        title: 'a line cut in the middle',
        act: (watch) => {
          watch.write('{"type":"DELETED","obj');
          watch.cut();
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
      });
    }

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

  describe('a list that lacks most Services', () => {
    const many = Array.from({ length: 30 }, (_, n) => `s${String(n).padStart(2, '0')}`);

    beforeEach(async () => {
      server.delete('Service', 'web');
      server.set(...many.map((name) => apiService(name)));
      await begin();
    });

    it('is not believed when a second list shows them', async () => {
      server.misbehave({ fault: { kind: 'empty' }, verb: 'watchList', resource: 'services', times: 1 });
      const before = lab.snapshot();
      relist();
      await lab.clock.runUntil('the second list', () => server.count('list', 'services') === 1);
      server.set(apiService('t'));
      await lab.sees([...many, 't']);
      expect(lab.snapshot().services.slice(0, 30)).to.deep.equal(before.services);
      expect(lab.snapshot().services[0]).to.equal(before.services[0]);
    });

    it('is believed when a second list lacks them too', async () => {
      serviceWatch().mute();
      for (const name of many.slice(5)) server.delete('Service', name);
      relist();
      await lab.sees(many.slice(0, 5));
      expect(server.count('list', 'services')).to.equal(1);
    });

    it('is believed at once when it lacks few', async () => {
      serviceWatch().mute();
      for (const name of many.slice(20)) server.delete('Service', name);
      relist();
      await lab.sees(many.slice(0, 20));
      expect(server.count('list', 'services')).to.equal(0);
    });

    it('is doubted in pages too, also with items null', async () => {
      server.misbehave({ fault: { kind: 'refuseWatchList' } });
      server.misbehave({ fault: { kind: 'nullItems' }, verb: 'list', resource: 'services', times: 1 });
      relist();
      await lab.clock.runUntil('the second list', () => server.count('list', 'services') === 2);
      await lab.clock.run(2000);
      expect(lab.names()).to.deep.equal(many);
    });
  });
});
