import { expect } from 'chai';
import { apiService, apiSlice, createClusterLab } from '../support/cluster-lab.ts';
import type { ClusterLab } from '../support/cluster-lab.ts';
import type { FakeApiServer } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';

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
});
