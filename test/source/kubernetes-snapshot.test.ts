import { expect } from 'chai';
import { apiService, apiSlice, createClusterLab } from '../support/cluster-lab.ts';
import type { ClusterLab } from '../support/cluster-lab.ts';
import type { FakeApiServer } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';

describe('cluster source: snapshots', () => {
  let server: FakeApiServer;
  let lab: ClusterLab;

  const labels = (service: string) => ({ labels: { 'kubernetes.io/service-name': service } });
  /** Waits until everything that was set has arrived. */
  const settled = async () => {
    server.sendBookmarks();
    const version = String(server.storage.version);
    await lab.clock.runUntil('the bookmarks', () =>
      [...lab.source.status().values()].every((status) => status.version === version),
    );
  };

  beforeEach(async () => {
    server = await startFakeApiServer();
    server.set(
      apiService('api'),
      apiService('web'),
      apiSlice('api-1', 'api', ['10.0.0.1']),
      apiSlice('web-1', 'web', ['10.0.0.2']),
      apiSlice('web-2', 'web', ['10.0.0.3']),
      { kind: 'Node', metadata: { name: 'node-1', labels: { 'topology.kubernetes.io/zone': 'a' } } },
    );
    lab = createClusterLab(server);
    await lab.ready();
  });
  afterEach(async () => {
    await lab.end();
    await server.goDown();
  });

  it('are the same object while nothing changes, and never change themselves', async () => {
    const before = lab.snapshot();
    expect(lab.snapshot()).to.equal(before);
    const names = before.services.map(({ metadata }) => metadata.name);
    server.set(apiService('new'));
    server.delete('EndpointSlice', 'web-1');
    await settled();
    expect(before.services.map(({ metadata }) => metadata.name)).to.deep.equal(names);
    expect(before.slices.get('default/web')).to.have.length(2);
    expect(lab.snapshot().slices.get('default/web')).to.have.length(1);
  });

  it('keep what did not change: other Services, other slices, the map of slices', async () => {
    const before = lab.snapshot();
    server.set(apiService('web', { clusterIP: '10.96.0.7' }));
    await settled();
    const after = lab.snapshot();
    expect(after.services).to.not.equal(before.services);
    expect(after.services[0]).to.equal(before.services[0]);
    expect(after.services[1]).to.not.equal(before.services[1]);
    expect(after.slices).to.equal(before.slices);
  });

  it('keep the slices of other Services, and the other slices of the same', async () => {
    const before = lab.snapshot();
    server.set(apiSlice('web-2', 'web', ['10.0.0.9']));
    await settled();
    const after = lab.snapshot();
    expect(after.slices.get('default/api')).to.equal(before.slices.get('default/api'));
    expect(after.slices.get('default/web')).to.not.equal(before.slices.get('default/web'));
    expect(after.slices.get('default/web')?.[0]).to.equal(before.slices.get('default/web')?.[0]);
  });

  const unused: readonly { readonly title: string; readonly change: () => void }[] = [
    {
      title: 'a resourceVersion only',
      change: () => {
        server.set(apiService('web'));
      },
    },
    {
      title: 'annotations',
      change: () => {
        server.set(apiService('web', {}, { annotations: { note: 'x' }, generation: 2 }));
      },
    },
    {
      title: 'foreign labels',
      change: () => {
        server.set(apiService('web', {}, { labels: { team: 'x' } }));
      },
    },
    {
      title: 'fields a proxy does not use',
      change: () => {
        server.set(apiService('web', { selector: { app: 'x' }, publishNotReadyAddresses: true }));
      },
    },
    {
      title: 'annotations of a slice',
      change: () => {
        server.set(
          apiSlice('web-1', 'web', ['10.0.0.2'], {
            ...labels('web'),
            annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:00Z' },
          }),
        );
      },
    },
    {
      title: 'heartbeats of the node',
      change: () => {
        server.set({
          kind: 'Node',
          metadata: { name: 'node-1', labels: { 'topology.kubernetes.io/zone': 'a', other: 'x' } },
          status: { conditions: [{ type: 'Ready' }] },
        });
      },
    },
  ];
  for (const { title, change } of unused) {
    it(`do not change with ${title}`, async () => {
      const status = () => [...lab.source.status().values()].reduce((sum, { events }) => sum + events, 0);
      const before = lab.snapshot();
      const [changes, events] = [lab.changes.length, status()];
      change();
      await lab.clock.runUntil('the event', () => status() > events);
      expect(lab.snapshot()).to.equal(before);
      expect(lab.changes).to.have.length(changes);
    });
  }

  it('take a slice from its Service when its label names another', async () => {
    server.set(apiSlice('web-2', 'api', ['10.0.0.3']));
    await settled();
    const names = (service: string) =>
      lab
        .snapshot()
        .slices.get(service)
        ?.map(({ metadata }) => metadata.name);
    expect(names('default/web')).to.deep.equal(['web-1']);
    expect(names('default/api')).to.deep.equal(['api-1', 'web-2']);
    server.delete('EndpointSlice', 'web-1');
    await settled();
    expect(lab.snapshot().slices.get('default/web')).to.equal(undefined);
  });

  it('show a slice before its Service, and after it', async () => {
    server.set(apiSlice('late-1', 'late', ['10.0.0.7']));
    await settled();
    expect(lab.snapshot().slices.get('default/late')).to.have.length(1);
    server.delete('EndpointSlice', 'late-1');
    await settled();
    expect(lab.snapshot().slices.get('default/late')).to.equal(undefined);
  });

  it('sort Services by namespace, then name', async () => {
    server.set(
      apiService('b', {}, { namespace: 'a-b' }),
      apiService('b', {}, { namespace: 'a' }),
      apiService('a', {}, { namespace: 'z' }),
    );
    await settled();
    expect(
      lab.snapshot().services.map(({ metadata }) => `${String(metadata.namespace)}/${metadata.name}`),
    ).to.deep.equal(['a/b', 'a-b/b', 'default/api', 'default/web', 'z/a']);
  });

  it('stay right over many random changes', async () => {
    let seed = 1;
    const next = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    for (let step = 0; step < 1500; step += 1) {
      const name = `r${next(60)}`;
      if (next(3) === 0) server.delete('Service', name);
      else server.set(apiService(name, { clusterIP: `10.96.1.${next(9)}` }));
      if (next(4) === 0) server.delete('EndpointSlice', `${name}-1`);
      else server.set(apiSlice(`${name}-1`, `r${next(60)}`, [`10.0.1.${next(9)}`]));
      if (step % 40 === 0) await lab.clock.run(2, { stepMs: 1 });
      if (step % 200 === 0) server.watches('services')[0]?.cut();
      lab.source.snapshot();
    }
    await lab.clock.run(3000);
    await settled();
    const all = { labelSelector: '', fieldSelector: '' };
    const stored = server.storage
      .select('Service', all)
      .map(({ metadata, spec }) => `${metadata.name} ${(spec as { clusterIP: string }).clusterIP}`);
    expect(
      lab.snapshot().services.map(({ metadata, spec }) => `${metadata.name} ${String(spec.clusterIP)}`),
    ).to.deep.equal(stored);
    const slices = server.storage
      .select('EndpointSlice', all)
      .map(({ metadata }) => `default/${String(metadata.labels?.['kubernetes.io/service-name'])} ${metadata.name}`);
    const seen = [...lab.snapshot().slices].flatMap(([service, own]) =>
      own.map(({ metadata }) => `${service} ${metadata.name}`),
    );
    expect(seen.toSorted()).to.deep.equal(slices.toSorted());
  });

  it('come with the time at which the change of a slice began', async () => {
    const annotations = { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-02T03:04:05Z' };
    server.set(apiSlice('web-1', 'web', ['10.0.0.4'], { ...labels('web'), annotations }));
    await settled();
    server.delete('EndpointSlice', 'api-1');
    await settled();
    expect(lab.changes.flatMap(({ triggers }) => triggers)).to.deep.equal([
      { service: 'default/web', addressType: 'IPv4', changedAt: '2026-01-02T03:04:05Z' },
      { service: 'default/api', addressType: 'IPv4' },
    ]);
  });

  it('follow the node, and keep it as it was last seen when it is deleted', async () => {
    expect(lab.snapshot().node?.metadata.labels).to.deep.equal({ 'topology.kubernetes.io/zone': 'a' });
    server.delete('Node', 'node-1');
    await settled();
    expect(lab.snapshot().node?.metadata.labels).to.deep.equal({ 'topology.kubernetes.io/zone': 'a' });
    const spec = { podCIDRs: ['10.244.1.0/24'], taints: [{ key: 'ToBeDeletedByClusterAutoscaler', value: 'x' }] };
    server.set({ kind: 'Node', metadata: { name: 'node-1' }, spec });
    await settled();
    expect(lab.snapshot().node).to.deep.include({
      spec: { podCIDRs: ['10.244.1.0/24'], taints: [{ key: 'ToBeDeletedByClusterAutoscaler' }] },
    });
    expect(lab.snapshot().node?.metadata).to.not.have.property('labels');
  });

  it('hold nothing of ten thousand slices without a Service that came and went', async () => {
    for (let n = 0; n < 10_000; n += 1) {
      server.set(apiSlice(`orphan-${n}`, `nobody-${n}`, ['10.0.0.8']));
      server.delete('EndpointSlice', `orphan-${n}`);
      if (n % 500 === 0) await lab.clock.run(1, { stepMs: 1 });
    }
    await settled();
    expect(lab.snapshot().slices.size).to.equal(2);
    expect(lab.source.status().get('endpointslices')?.objects).to.equal(3);
  });
});
