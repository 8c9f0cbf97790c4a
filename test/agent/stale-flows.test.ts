import { expect } from 'chai';
import { canMakeFlowsStale, staleFlows } from '../../src/agent/stale-flows.ts';
import type { UdpFlow } from '../../src/kernel/conntrack.ts';
import type { ProxyModel, ServicePort } from '../../src/model/model.ts';
import { endpoint, proxyModel, servicePort } from './models.ts';

const hostAddresses = ['172.18.0.11', '10.244.1.1', '127.0.0.1'];
const pod1 = endpoint('10.244.1.11', 5353);
const pod2 = endpoint('10.244.2.14', 5353);

/** A flow from a pod to `destination`, answered by `source`; both `address port`. */
function flow(destination: string, source: string, family: 'IPv4' | 'IPv6' = 'IPv4'): UdpFlow {
  const [to = '', toPort] = destination.split(' ');
  const [from = '', fromPort] = source.split(' ');
  const client = family === 'IPv4' ? '10.244.1.99' : 'fd00::99';
  return {
    family,
    original: { source: client, destination: to, sourcePort: 40_000, destinationPort: Number(toPort) },
    reply: { source: from, destination: client, sourcePort: Number(fromPort), destinationPort: 40_000 },
  };
}

const dns = servicePort({
  nodePort: 30_053,
  externalIPs: ['198.51.100.1'],
  loadBalancerIPs: ['203.0.113.1'],
  allEndpoints: [pod1, pod2],
});
const withoutPod2 = { ...dns, allEndpoints: [pod1] };
const empty = { ...dns, allEndpoints: [] };

describe('agent/stale-flows', () => {
  const cases: { title: string; desired: ProxyModel; former?: ServicePort[]; flow: UdpFlow; reason?: string }[] = [
    {
      title: 'keeps a flow to an endpoint that serves',
      desired: proxyModel([dns]),
      flow: flow('10.96.0.10 53', '10.244.2.14 5353'),
    },
    {
      title: 'keeps a flow to an endpoint that serves while it terminates',
      desired: proxyModel([{ ...dns, allEndpoints: [{ ...pod1, isReady: false, isTerminating: true }] }]),
      flow: flow('10.96.0.10 53', '10.244.1.11 5353'),
    },
    {
      title: 'removes a flow to an endpoint that is gone',
      desired: proxyModel([withoutPod2]),
      flow: flow('10.96.0.10 53', '10.244.2.14 5353'),
      reason: 'endpoint-gone',
    },
    {
      title: 'removes it on an external IP too',
      desired: proxyModel([withoutPod2]),
      flow: flow('198.51.100.1 53', '10.244.2.14 5353'),
      reason: 'endpoint-gone',
    },
    {
      title: 'removes it on a load balancer IP too',
      desired: proxyModel([withoutPod2]),
      flow: flow('203.0.113.1 53', '10.244.2.14 5353'),
      reason: 'endpoint-gone',
    },
    {
      title: 'removes it on a node port too',
      desired: proxyModel([withoutPod2]),
      flow: flow('172.18.0.11 30053', '10.244.2.14 5353'),
      reason: 'endpoint-gone',
    },
    {
      title: 'removes it where the endpoint now has another port',
      desired: proxyModel([dns]),
      flow: flow('10.96.0.10 53', '10.244.2.14 5354'),
      reason: 'endpoint-gone',
    },
    {
      title: 'removes a flow to an endpoint that no longer serves',
      desired: proxyModel([{ ...dns, allEndpoints: [pod1, { ...pod2, isServing: false, isReady: false }] }]),
      flow: flow('10.96.0.10 53', '10.244.2.14 5353'),
      reason: 'endpoint-gone',
    },
    {
      title: 'removes a flow when nobody serves the port any more',
      desired: proxyModel([empty]),
      flow: flow('10.96.0.10 53', '10.244.2.14 5353'),
      reason: 'no-endpoints',
    },
    {
      title: 'removes a flow from before the port had endpoints',
      desired: proxyModel([dns]),
      flow: flow('10.96.0.10 53', '10.96.0.10 53'),
      reason: 'not-translated',
    },
    {
      title: 'removes such a flow to a node port',
      desired: proxyModel([dns]),
      flow: flow('172.18.0.11 30053', '172.18.0.11 30053'),
      reason: 'not-translated',
    },
    {
      title: 'keeps a flow to a process of the host behind a node port without endpoints',
      desired: proxyModel([empty]),
      flow: flow('172.18.0.11 30053', '172.18.0.11 30053'),
    },
    {
      title: 'keeps a flow through the host to a port that is a node port here',
      desired: proxyModel([dns]),
      flow: flow('192.0.2.1 30053', '192.0.2.1 30053'),
    },
    {
      title: 'keeps a flow to another Service on a port that is a node port',
      desired: proxyModel([
        dns,
        servicePort({ name: 'game', clusterIP: '10.96.0.77', port: 30_053, allEndpoints: [pod2] }),
      ]),
      flow: flow('10.96.0.77 30053', '10.244.2.14 5353'),
    },
    {
      title: 'keeps a flow to a node port on an address that accepts none',
      desired: proxyModel([withoutPod2], { nodePortAddresses: ['10.244.1.1'] }),
      flow: flow('172.18.0.11 30053', '172.18.0.11 30053'),
    },
    {
      title: 'keeps a flow of the host to itself when node ports do not answer there',
      desired: proxyModel([dns], { localhostNodePorts: false }),
      flow: flow('127.0.0.1 30053', '127.0.0.1 30053'),
    },
    {
      title: 'keeps a flow to a Service that is of another protocol',
      desired: proxyModel([{ ...withoutPod2, protocol: 'TCP' }]),
      flow: flow('10.96.0.10 53', '10.244.2.14 5353'),
    },
    {
      title: 'keeps a flow that belongs to no Service',
      desired: proxyModel([dns]),
      flow: flow('10.244.2.14 53', '10.244.2.14 53'),
    },
    {
      title: 'removes a flow to a Service that is gone',
      desired: proxyModel([]),
      former: [dns],
      flow: flow('10.96.0.10 53', '10.244.2.14 5353'),
      reason: 'service-gone',
    },
    {
      title: 'removes a flow to an external IP that was taken away',
      desired: proxyModel([{ ...dns, externalIPs: [] }]),
      former: [dns],
      flow: flow('198.51.100.1 53', '10.244.2.14 5353'),
      reason: 'service-gone',
    },
    {
      title: 'removes a flow to a node port that was changed',
      desired: proxyModel([{ ...dns, nodePort: 30_054 }]),
      former: [dns],
      flow: flow('172.18.0.11 30053', '10.244.2.14 5353'),
      reason: 'service-gone',
    },
    {
      title: 'keeps an untranslated flow to an address that was a Service',
      desired: proxyModel([]),
      former: [dns],
      flow: flow('198.51.100.1 53', '198.51.100.1 53'),
    },
    {
      title: 'judges a flow by the Service that took the address over',
      desired: proxyModel([{ ...dns, name: 'other' }]),
      former: [withoutPod2],
      flow: flow('10.96.0.10 53', '10.244.2.14 5353'),
    },
  ];
  for (const { title, reason, flow, ...models } of cases) {
    it(title, () => {
      const stale = staleFlows({ ...models, hostAddresses, flows: [flow] });
      expect(stale.map((entry) => entry.reason)).to.deep.equal(reason === undefined ? [] : [reason]);
      for (const entry of stale) expect(entry).to.include({ flow, servicePort: 'default/dns' });
    });
  }

  it('reads IPv6 addresses however they are printed', () => {
    const web = servicePort({
      family: 'IPv6',
      clusterIP: 'fd00:10:96::a',
      allEndpoints: [endpoint('::102:304', 5353), endpoint('fd00::1', 5353)],
    });
    const model = proxyModel([web], { family: 'IPv6' });
    const flows = [
      flow('fd00:10:96::a 53', '::1.2.3.4 5353', 'IPv6'),
      flow('fd00:10:96::a 53', 'fd00::2 5353', 'IPv6'),
    ];
    const stale = staleFlows({ desired: model, hostAddresses: [], flows });
    expect(stale.map((entry) => entry.flow)).to.deep.equal([flows[1]]);
  });

  it('removes nothing at a restart that changes nothing', () => {
    const flows = [
      '10.96.0.10 53',
      '198.51.100.1 53',
      '203.0.113.1 53',
      '172.18.0.11 30053',
      '10.244.1.1 30053',
    ].flatMap((to) => [pod1, pod2].map((pod) => flow(to, `${pod.address} ${pod.port}`)));
    expect(staleFlows({ desired: proxyModel([dns]), hostAddresses, flows })).to.deep.equal([]);
  });

  it('costs little for flows of others', () => {
    const foreign = flow('192.0.2.1 443', '192.0.2.1 443');
    function* many() {
      for (let i = 0; i < 1_000_000; i++) yield foreign;
    }
    expect(staleFlows({ desired: proxyModel([dns]), hostAddresses, flows: many() })).to.deep.equal([]);
  });

  it('knows when no flow can have become stale', () => {
    const web = servicePort({ name: 'web', protocol: 'TCP' });
    expect(canMakeFlowsStale(undefined, proxyModel([]))).to.equal(true);
    expect(canMakeFlowsStale(proxyModel([dns, web]), proxyModel([dns, { ...web }]))).to.equal(false);
    expect(canMakeFlowsStale(proxyModel([dns, web]), proxyModel([{ ...dns }, web]))).to.equal(true);
    expect(canMakeFlowsStale(proxyModel([dns, web]), proxyModel([web]))).to.equal(true);
  });
});
