import { expect } from 'chai';
import { apiService, apiSlice, createClusterLab } from '../support/cluster-lab.ts';
import type { ClusterLab, ClusterLabOptions } from '../support/cluster-lab.ts';
import type { FakeApiServer, Misbehaviour } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';
import type { LiveWatch } from '../support/fake-api-watch.ts';

describe('cluster source: a server that misbehaves when it lists', () => {
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

  /** Waits until a resource is in trouble, and tells which. */
  const trouble = async (resource: string) => {
    const text = () => lab.source.status().get(resource)?.lastError;
    await lab.clock.runUntil(`trouble with ${resource}`, () => text() !== undefined, { stepMs: 10 });
    return text();
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
        title: 'streams that a server cannot make, though it makes pages',
        faults: [{ fault: { kind: 'status', code: 504 }, verb: 'watchList' }],
      },
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

    it('reads pages where a stream does not say that all has come, also while events keep coming', async () => {
      server.misbehave({ fault: { kind: 'noInitialEnd' }, verb: 'watchList' });
      lab = createClusterLab(server);
      lab.source.start();
      for (let second = 0; second < 100 && lab.source.snapshot() === undefined; second += 5) {
        server.set(apiService('web'), apiSlice('web-1', 'web', [`10.0.0.${second + 1}`]));
        await lab.clock.run(5000);
      }
      expect(lab.names()).to.deep.equal(['web']);
    });

    it('says each trouble of an outage once, whatever it tries', async () => {
      server.misbehave({ fault: { kind: 'html' } });
      lab = createClusterLab(server);
      lab.source.start();
      await lab.clock.run(120_000, { stepMs: 500 });
      expect(lab.lines.filter((line) => line.startsWith('warn') && line.includes('"services"'))).to.have.length(2);
    });

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
      await lab.sees(['web'], 40_000);
    });

    it('names resource and role when the server forbids a resource', async () => {
      server.misbehave({ fault: { kind: 'status', code: 403 }, resource: 'endpointslices' });
      lab = createClusterLab(server);
      lab.source.start();
      expect(await trouble('endpointslices')).to.match(/endpointslices.*403.*system:node-proxier/);
      await lab.clock.runUntil('the Services', () => lab.source.status().get('services')?.isSynced === true);
      expect(lab.source.snapshot()).to.equal(undefined);
    });

    for (const code of [404, 403]) {
      it(`does without ServiceCIDRs where they are answered with ${code}, and asks again`, async () => {
        const end = server.misbehave({ fault: { kind: 'status', code }, resource: 'servicecidrs' });
        await begin();
        expect(lab.snapshot().serviceCIDRs).to.deep.equal([]);
        expect(lab.lines).to.have.length(1);
        expect(lab.lines[0]).to.match(/^warn .*going on without .*servicecidrs/);
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
      const text = await trouble('services');
      await lab.clock.run(3000);
      await other.goDown();
      expect(other.requests).to.deep.equal([]);
      expect(text).to.include('Redirects are not followed');
    });

    it('gives up a body that unpacks to more than the limit', async () => {
      server.misbehave({ fault: { kind: 'refuseWatchList' } });
      server.misbehave({ fault: { kind: 'bomb', bytes: 50_000_000 }, verb: 'list', resource: 'services' });
      lab = createClusterLab(server, { limits: { maxBodyBytes: 1_000_000 } });
      lab.source.start();
      expect(await trouble('services')).to.include('larger than 1000000 bytes');
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
