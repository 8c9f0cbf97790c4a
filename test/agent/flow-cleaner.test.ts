import { expect } from 'chai';
import { FlowCleaner } from '../../src/agent/flow-cleaner.ts';
import type { StaleFlow } from '../../src/agent/stale-flows.ts';
import type { Conntrack, UdpFlow } from '../../src/kernel/conntrack.ts';
import { FakeClock } from './fake-clock.ts';
import { endpoint, proxyModel, servicePort } from './models.ts';

const dns = servicePort({ nodePort: 30_053, allEndpoints: [endpoint('10.244.1.11', 5353)] });
const game = servicePort({ name: 'game', clusterIP: '10.96.0.77', allEndpoints: [endpoint('10.244.1.12', 5353)] });

function flow(destination: string, port: number, answer: string): UdpFlow {
  return {
    family: 'IPv4',
    original: { source: '10.244.1.99', destination, sourcePort: 40_000, destinationPort: port },
    reply: { source: answer, destination: '10.244.1.99', sourcePort: 5353, destinationPort: 40_000 },
  };
}

const toDns = flow('10.96.0.10', 53, '10.244.1.11');
const toNodePort = flow('172.18.0.11', 30_053, '10.244.1.11');
const toGame = flow('10.96.0.77', 53, '10.244.1.12');

describe('agent/flow-cleaner', () => {
  /** A table of connections from which flows go as they are deleted; each look at it may fail first. */
  function setUp(failures = 0) {
    const clock = new FakeClock();
    const flows = new Set<UdpFlow>();
    const removed: StaleFlow[] = [];
    let looks = 0;
    const conntrack: Conntrack = {
      listUdp: () => {
        looks += 1;
        return looks <= failures ? Promise.reject(new Error('no')) : Promise.resolve([...flows]);
      },
      delete: (doomed) => {
        for (const one of doomed) flows.delete(one);
        return Promise.resolve();
      },
    };
    const cleaner = new FlowCleaner({
      family: 'IPv4',
      conntrack,
      clock,
      hostAddresses: () => ['172.18.0.11'],
      onCleaned: (stale) => removed.push(...stale),
      onError: () => undefined,
    });
    return { clock, cleaner, flows, removed, looks: () => looks };
  }

  it('removes flows of a Service that came and went between two looks', async () => {
    const { clock, cleaner, flows, removed } = setUp();
    cleaner.written(proxyModel([game]));
    await clock.advance(100);
    cleaner.written(proxyModel([dns, game]));
    for (const one of [toDns, toNodePort, toGame]) flows.add(one);
    await clock.advance(100);
    cleaner.written(proxyModel([game]));
    await clock.advance(10_000);
    expect([...flows]).to.deep.equal([toGame]);
    expect(removed.map(({ reason }) => reason)).to.deep.equal(['service-gone', 'service-gone']);
  });

  it('removes them when looks failed in between', async () => {
    const { clock, cleaner, flows } = setUp(4);
    for (const one of [toDns, toGame]) flows.add(one);
    cleaner.written(proxyModel([dns, game]));
    await clock.advance(100);
    cleaner.written(proxyModel([game]));
    await clock.advance(2_000);
    cleaner.written(proxyModel([]));
    await clock.advance(600_000);
    expect([...flows]).to.deep.equal([]);
  });

  it('removes flows to an address that a Service lost between two looks', async () => {
    const { clock, cleaner, flows } = setUp();
    for (const one of [toDns, toNodePort]) flows.add(one);
    const { nodePort, ...without } = dns;
    expect(nodePort).to.equal(30_053);
    cleaner.written(proxyModel([without]));
    await clock.advance(100);
    cleaner.written(proxyModel([dns]));
    cleaner.written(proxyModel([{ ...without }]));
    await clock.advance(10_000);
    expect([...flows]).to.deep.equal([toDns]);
  });

  it('looks once for many changes, and not at all for those that concern no UDP', async () => {
    const { clock, cleaner, looks } = setUp();
    cleaner.written(proxyModel([dns]));
    await clock.advance(10_000);
    for (let i = 0; i < 20; i++) cleaner.written(proxyModel([{ ...dns }]));
    await clock.advance(10_000);
    expect(looks()).to.equal(2);
    cleaner.written(proxyModel([dns]));
    await clock.advance(10_000);
    cleaner.written(proxyModel([dns, servicePort({ name: 'web', protocol: 'TCP' })]));
    await clock.advance(600_000);
    expect(looks()).to.equal(3);
  });
});
