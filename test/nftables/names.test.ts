import { expect } from 'chai';
import { buildModel } from '../../src/model/build.ts';
import type { ServicePort } from '../../src/model/model.ts';
import { endpointNames, serviceOfName, servicePortChains } from '../../src/nftables/names.ts';
import { planNftables } from '../../src/nftables/plan.ts';
import { desiredNftables, renderNftables } from '../../src/nftables/render.ts';
import { endpoint, modelOptions, port, service, slice, state } from '../support/state.ts';
import { createTestKernel } from './kernel.ts';

describe('names of chains and sets of one Service', () => {
  const cases = [
    ['testing', 'service', 'http', 'P4ZYZVCF'],
    ['testing', 'service', 'https', 'LZBRENCP'],
    ['ns1', 'svc1', 'p80', 'ULMVA6XW'],
    ['ns2', 'svc2', 'p8080', 'MHHHYRWA'],
  ] as const;
  for (const [namespace, name, portName, hash] of cases) {
    it(`are kube-proxy's: ${namespace}/${name}:${portName}`, () => {
      const { cluster } = servicePortChains({ namespace, name, portName, protocol: 'TCP' } as ServicePort);
      expect(cluster).to.equal(`service-${hash}-${namespace}/${name}/tcp/${portName}`);
      expect(serviceOfName(cluster)).to.deep.equal({ namespace, name });
    });
  }

  it('spell the colons of IPv6 as dots', () => {
    const sticky = { namespace: 'testing', name: 'service', portName: 'http', protocol: 'TCP' } as ServicePort;
    const { set } = endpointNames(sticky, { address: 'fd80:abcd:12::a1b2:c3d4:e5f6:9999', port: 80 } as never);
    expect(set).to.equal('affinity-U7E2ET36-testing/service/tcp/http__fd80.abcd.12..a1b2.c3d4.e5f6.9999/80');
  });

  it('belong to no Service where classes share them', () => {
    for (const name of ['class-2', 'class-external-local', 'services']) expect(serviceOfName(name)).to.be.undefined;
  });
});

describe('Services of any legal name and size', function () {
  this.timeout(60_000);
  const long = (letter: string, length: number) => letter.repeat(length);
  const metadata = { namespace: long('n', 63), name: long('s', 63) };
  const named = (spec: object) =>
    service({ ports: [port({ name: long('p', 63), protocol: 'SCTP' })], ...spec }, metadata);
  const address = '2001:db8:1111:2222:3333:4444:5555';
  const slices = (count: number) => [
    slice(
      Array.from({ length: count }, (_, index) => endpoint(`${address}:${(index + 1).toString(16)}`)),
      {
        metadata: { ...metadata, labels: { 'kubernetes.io/service-name': metadata.name } },
        addressType: 'IPv6',
        ports: [{ name: long('p', 63), protocol: 'SCTP', port: 65_535 }],
      },
      metadata.name,
    ),
  ];
  const options = modelOptions({
    family: 'IPv6',
    nodePortAddresses: 'all',
    localDetector: { kind: 'interface-prefix', prefix: 'veth' },
  });
  const v6 = { clusterIP: 'fd00::1', clusterIPs: ['fd00::1'], ipFamilies: ['IPv6'] };
  const cases = [
    ['without endpoints', named(v6), 0],
    ['with session affinity', named({ ...v6, sessionAffinity: 'ClientIP' }), 3],
    ['with 3000 endpoints', named(v6), 3000],
  ] as const;
  for (const [what, one, count] of cases) {
    it(`load and are listed as rendered: ${what}`, async () => {
      const kernel = await createTestKernel();
      try {
        const model = buildModel(state([one], count === 0 ? [] : slices(count)), options);
        await kernel.load(renderNftables(model));
        expect(planNftables(await kernel.list('IPv6'), desiredNftables(model), 'IPv6').changes).to.deep.equal([]);
      } finally {
        await kernel.remove();
      }
    });
  }
});
