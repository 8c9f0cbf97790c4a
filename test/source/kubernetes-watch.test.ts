import { expect } from 'chai';
import { createClusterSource } from '../../src/source/kubernetes/cluster.ts';
import { apiService, apiSlice, createClusterLab, lineLog } from '../support/cluster-lab.ts';
import type { ClusterLab } from '../support/cluster-lab.ts';
import type { FakeApiServer } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';
import { until } from '../support/manual-clock.ts';

describe('cluster source: list and watch', () => {
  let server: FakeApiServer;
  let lab: ClusterLab;

  beforeEach(async () => {
    server = await startFakeApiServer();
    server.set(apiService('web'), apiSlice('web-1', 'web', ['10.0.0.1']), {
      kind: 'Node',
      metadata: { name: 'node-1' },
    });
    lab = createClusterLab(server);
  });
  afterEach(async () => {
    await lab.end();
    await server.goDown();
  });

  it('has a snapshot once every list is complete, with one streaming request a resource', async () => {
    expect(lab.source.snapshot()).to.equal(undefined);
    const state = await lab.ready();
    expect(lab.names()).to.deep.equal(['web']);
    expect(state.slices.get('default/web')?.map(({ metadata }) => metadata.name)).to.deep.equal(['web-1']);
    expect(state.node?.metadata.name).to.equal('node-1');
    expect(server.requests.map(({ verb, resource }) => `${verb} ${resource}`).toSorted()).to.deep.equal([
      'watchList endpointslices',
      'watchList nodes',
      'watchList servicecidrs',
      'watchList services',
    ]);
  });

  it('asks only for what it serves', async () => {
    server.set(
      apiService('headless', { clusterIP: 'None' }),
      apiService('foreign', {}, { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } }),
      apiSlice('headless-1', 'headless', ['10.0.0.2'], { labels: { 'service.kubernetes.io/headless': '' } }),
      { kind: 'Node', metadata: { name: 'node-2' } },
    );
    const state = await lab.ready();
    expect(lab.names()).to.deep.equal(['web']);
    expect([...state.slices.keys()]).to.deep.equal(['default/web']);
    const selectors = new Map(
      server.requests.map(({ resource, query }) => [
        resource,
        `${query.get('labelSelector') ?? ''} ${query.get('fieldSelector') ?? ''}`.trim(),
      ]),
    );
    expect(selectors.get('services')).to.equal('!service.kubernetes.io/service-proxy-name spec.clusterIP!=None');
    expect(selectors.get('endpointslices')).to.equal('!service.kubernetes.io/headless');
    expect(selectors.get('nodes')).to.equal('metadata.name=node-1');
  });

  it('reads pages and watches when the server has no streaming lists', async () => {
    for (let n = 0; n < 1200; n += 1) server.set(apiService(`s${n}`));
    server.misbehave({ fault: { kind: 'refuseWatchList' } });
    await lab.ready();
    expect(lab.snapshot().services).to.have.length(1201);
    expect(server.count('list', 'services')).to.equal(3);
    server.set(apiService('zz'));
    await lab.clock.runUntil('the event', () => lab.names().includes('zz'));
    expect(server.count('watch', 'services')).to.equal(1);
  });

  it('follows events: added, changed, deleted, into and out of the selection', async () => {
    await lab.ready();
    server.set(apiService('api'));
    await lab.sees(['api', 'web']);
    server.set(apiService('api', { clusterIP: 'None' }));
    await lab.sees(['web']);
    server.set(apiService('api'));
    await lab.sees(['api', 'web']);
    server.delete('Service', 'web');
    await lab.sees(['api']);
  });

  it('ends every request, connection and timer when it is stopped', async () => {
    await lab.ready();
    expect(server.watches()).to.have.length(4);
    await lab.source.stop();
    lab.client.close();
    expect(lab.clock.pending).to.equal(0);
    await until('no watch is left', () => server.watches().length === 0);
    server.set(apiService('api'));
    expect(lab.names()).to.deep.equal(['web']);
  });

  it('can be stopped while it lists, waits for a server that is away, or has not begun', async () => {
    server.misbehave({ fault: { kind: 'hang' } });
    lab.source.start();
    await until('requests', () => server.requests.length === 4);
    await lab.source.stop();
    expect(lab.clock.pending).to.equal(0);

    await server.goDown();
    const other = createClusterLab(server);
    other.source.start();
    await other.clock.run(5000);
    await other.end();
    expect(other.clock.pending).to.equal(0);
    await createClusterLab(server).end();
    await server.comeBack();
  });

  it('asks for watches that end after five to ten minutes, with bookmarks', async () => {
    await lab.ready();
    for (const { query } of server.requests) {
      expect(Number(query.get('timeoutSeconds'))).to.be.within(300, 600);
      expect(query.get('allowWatchBookmarks')).to.equal('true');
      expect(query.get('resourceVersionMatch')).to.equal('NotOlderThan');
    }
  });

  it('has no node without the name of one', async () => {
    const other = createClusterSource({ client: lab.client }, { clock: lab.clock, random: () => 0, log: lineLog([]) });
    other.start();
    await lab.clock.runUntil('a snapshot', () => other.snapshot() !== undefined);
    expect(other.snapshot()).to.not.have.property('node');
    expect([...other.status().keys()]).to.deep.equal(['services', 'endpointslices', 'servicecidrs']);
    await other.stop();
  });

  it('is silent until it can give a snapshot, then tells once', async () => {
    const end = server.misbehave({ fault: { kind: 'hang' }, resource: 'endpointslices' });
    lab.source.start();
    await lab.clock.run(3000);
    expect(lab.changes).to.deep.equal([]);
    end();
    await lab.clock.runUntil('the first notice', () => lab.changes.length > 0);
    expect(lab.snapshot().slices.size).to.equal(1);
    expect(lab.changes).to.have.length(1);
  });
});
