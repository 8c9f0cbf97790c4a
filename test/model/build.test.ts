import { expect } from 'chai';
import { buildModel } from '../../src/model/build.ts';
import type { Service } from '../../src/source/objects.ts';
import { endpoint, modelOptions, port, service, slice, state } from '../support/state.ts';

const balanced = (overrides: Partial<Service['spec']>, ips: readonly object[] = [{ ip: '203.0.113.1' }]): Service => ({
  ...service({ type: 'LoadBalancer', ...overrides }),
  status: { loadBalancer: { ingress: ips } },
});
const build = (services: readonly Service[], options = {}) =>
  buildModel(state(services, [slice([endpoint('10.244.1.1')])]), modelOptions(options));
const first = (one: Service, options = {}) => build([one], options).servicePorts[0];
const reasons = (services: readonly Service[], options = {}) =>
  build(services, options).warnings.map(({ reason }) => reason);

describe('the model of service ports', () => {
  for (const [title, one] of [
    ['a headless Service', service({ clusterIP: 'None', clusterIPs: ['None'] })],
    ['an ExternalName', service({ type: 'ExternalName', clusterIP: '', clusterIPs: [] })],
    ['one without a cluster IP of the family', service({ clusterIPs: ['fd00::1'], ipFamilies: ['IPv6'] })],
    ['one whose name could end a rule', service({}, { name: 'x"\n-A INPUT -j DROP\n#' })],
    ['one whose cluster IP is no address', service({ clusterIPs: ['10.0.0'] })],
  ] as const) {
    it(`leaves out ${title}`, () => {
      expect(build([one]).servicePorts).to.deep.equal([]);
    });
  }

  it('takes the cluster IP of the family wherever it stands', () => {
    const one = service({ clusterIPs: ['fd00::1', '10.96.0.9'], ipFamilies: ['IPv6', 'IPv4'] });
    expect(first(one)?.clusterIP).to.equal('10.96.0.9');
    expect(first(one, { family: 'IPv6' })?.clusterIP).to.equal('fd00::1');
    const old = service({ clusterIPs: ['10.96.0.9'], ipFamilies: [], clusterIP: '10.96.0.9' });
    expect(first(old)?.clusterIP).to.equal('10.96.0.9');
  });

  it('leaves out single ports that cannot be', () => {
    const ports = [
      port({ name: 'ok' }),
      port({ name: 'quic', protocol: 'QUIC' }),
      port({ name: 'zero', port: 0 }),
      port({ name: 'a b' }),
      port({ name: 'np', nodePort: 99_999 }),
    ];
    const model = build([service({ ports })]);
    expect(model.servicePorts.map(({ portName }) => portName)).to.deep.equal(['np', 'ok']);
    expect(model.servicePorts[0]?.nodePort).to.equal(undefined);
    expect(model.warnings.map(({ field }) => field)).to.deep.equal([
      'spec.ports[1].protocol',
      'spec.ports[2].port',
      'spec.ports[3].name',
      'spec.ports[4].nodePort',
    ]);
  });

  it('takes a port without protocol for TCP', () => {
    const bare = { name: 'http', port: 80 };
    expect(first(service({ ports: [bare] }))?.protocol).to.equal('TCP');
  });

  it('reads source ranges as kube-proxy does, and closes when none can be read', () => {
    const ranges = (...loadBalancerSourceRanges: string[]) =>
      first(balanced({ loadBalancerSourceRanges }))?.sourceRanges;
    expect(ranges(' 10.1.2.3/8 ', '192.0.2.0/24')).to.deep.equal(['10.0.0.0/8', '192.0.2.0/24']);
    expect(ranges('0.0.0.0/0', '192.0.2.0/24')).to.equal(undefined);
    expect(ranges('junk', '192.0.2.0/24')).to.deep.equal(['192.0.2.0/24']);
    expect(ranges('junk')).to.deep.equal([]);
    expect(ranges('fd00::/8')).to.equal(undefined);
    expect(ranges()).to.equal(undefined);
    expect(reasons([balanced({ loadBalancerSourceRanges: ['fd00::/8'] })])).to.include('OpenFamily');
  });

  it('says once which addresses and ranges are of a family that the Service lacks', () => {
    const single = balanced(
      {
        clusterIPs: ['10.96.0.10'],
        ipFamilies: ['IPv4'],
        externalIPs: ['198.51.100.7', 'fd00:198::7', ''],
        loadBalancerSourceRanges: ['', '192.0.2.0/24', 'fd00:192::/64'],
      },
      [{ ip: '203.0.113.1' }, { ip: 'fd00:203::1' }, { ip: 'fd00:203::2', ipMode: 'Proxy' }],
    );
    const warningsIn = (one: Service, family: 'IPv4' | 'IPv6') => build([one], { family }).warnings;
    expect(warningsIn(single, 'IPv6')).to.deep.equal([]);
    expect(warningsIn(single, 'IPv4')).to.deep.equal([
      {
        object: 'Service default/web',
        field: 'spec.loadBalancerSourceRanges[2]',
        reason: 'OtherFamily',
        message:
          'fd00:192::/64 has no effect: the Service has no IPv6 cluster IP; add IPv6 to spec.ipFamilies, or take it out',
      },
      ...[
        ['spec.externalIPs[1]', 'fd00:198::7'],
        ['status.loadBalancer.ingress[1].ip', 'fd00:203::1'],
      ].map(([field, address]) => ({
        object: 'Service default/web',
        field,
        reason: 'OtherFamily',
        message: `${address} is not served: the Service has no IPv6 cluster IP; add IPv6 to spec.ipFamilies, or take it out`,
      })),
    ]);
    const dual = {
      ...single,
      spec: { ...single.spec, clusterIPs: ['10.96.0.10', 'fd00:10:96::10'], ipFamilies: ['IPv4', 'IPv6'] },
    };
    for (const family of ['IPv4', 'IPv6'] as const) expect(warningsIn(dual, family)).to.deep.equal([]);
  });

  it('knows when a source range holds this node', () => {
    expect(first(balanced({ loadBalancerSourceRanges: ['172.18.0.0/16'] }))?.sourceRangesCoverNode).to.be.true;
    expect(first(balanced({ loadBalancerSourceRanges: ['192.0.2.0/24'] }))?.sourceRangesCoverNode).to.be.false;
  });

  it('programs load balancer addresses of VIP mode only', () => {
    const ingress = [
      { ip: '203.0.113.1' },
      { ip: '203.0.113.2', ipMode: 'Proxy' },
      { ip: '203.0.113.3', ipMode: 'VIP' },
      { hostname: 'x.example' },
    ];
    expect(first(balanced({}, ingress))?.loadBalancerIPs).to.deep.equal(['203.0.113.1', '203.0.113.3']);
  });

  it('gives a health check port only to load balancers with a Local policy', () => {
    const both = { healthCheckNodePort: 32_000, externalTrafficPolicy: 'Local' };
    expect(first(balanced(both))?.healthCheckNodePort).to.equal(32_000);
    expect(first(balanced({ ...both, externalTrafficPolicy: 'Cluster' }))?.healthCheckNodePort).to.equal(undefined);
    expect(first(service({ ...both, type: 'NodePort' }))?.healthCheckNodePort).to.equal(undefined);
  });

  it('remembers clients for three hours when no time is given', () => {
    expect(first(service({ sessionAffinity: 'ClientIP' }))?.affinityTimeoutSeconds).to.equal(10_800);
    const timeoutSeconds = 86_401;
    const tooLong = service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds } } });
    expect(first(tooLong)?.affinityTimeoutSeconds).to.equal(10_800);
    expect(reasons([tooLong])).to.include('InvalidTimeout');
  });

  it('reads addresses as Kubernetes does and says so', () => {
    const one = service({
      clusterIPs: ['010.096.000.010'],
      externalIPs: ['::ffff:198.51.100.7', '127.0.0.1', '198.51.100.300', ''],
    });
    expect(first(one)).to.deep.include({ clusterIP: '10.96.0.10', externalIPs: ['198.51.100.7'] });
    expect(reasons([one])).to.have.members([
      'RewrittenAddress',
      'RewrittenAddress',
      'UnusableAddress',
      'InvalidAddress',
    ]);
  });

  it('serves no external IPs when the gate is closed', () => {
    const one = first(service({ externalIPs: ['198.51.100.7'] }), { allowExternalIPs: false });
    expect(one).to.deep.include({ externalIPs: [], isExternal: false });
  });

  it('keeps the objects of what did not change', () => {
    const options = modelOptions();
    const other = service({ clusterIPs: ['10.96.0.20'] }, { name: 'other' });
    const slices = [slice([endpoint('10.244.1.1')]), slice([endpoint('10.244.1.2')], {}, 'other')];
    const before = state([service(), other], slices);
    const [web, rest] = buildModel(before, options).servicePorts.toReversed();
    const after = { ...before, slices: new Map(before.slices).set('default/web', [slice([endpoint('10.244.1.9')])]) };
    const [changed, same] = buildModel(after, options).servicePorts.toReversed();
    expect(same).to.equal(rest);
    expect(changed).not.to.equal(web);
    const rewritten = { ...after, slices: new Map(after.slices).set('default/web', [slice([endpoint('10.244.1.9')])]) };
    expect(buildModel(rewritten, options).servicePorts.toReversed()[0]).to.equal(changed);
  });

  it('counts endpoints of all kinds for the size of the cluster', () => {
    const many = slice(
      Array.from({ length: 1001 }, (_, index) =>
        endpoint(`10.1.${index >> 8}.${index & 255}`, { conditions: { ready: false } }),
      ),
    );
    expect(buildModel(state([service()], [many]), modelOptions()).isLargeCluster).to.be.true;
    const fewer = { ...many, endpoints: many.endpoints?.slice(1) ?? null };
    expect(buildModel(state([service()], [fewer]), modelOptions()).isLargeCluster).to.be.false;
  });
});

describe('claims of two Services to one address', () => {
  const aged = (name: string, creationTimestamp: string | undefined, spec: Partial<Service['spec']>): Service =>
    service(spec, creationTimestamp === undefined ? { name } : { name, creationTimestamp });
  const nodePort = (clusterIP: string) => ({
    type: 'NodePort',
    clusterIPs: [clusterIP],
    ports: [port({ nodePort: 30_080 })],
  });

  it('gives a node port to the older, whatever the order, and names both', () => {
    const old = aged('old', '2024-01-01T00:00:00Z', nodePort('10.96.0.1'));
    const young = aged('young', '2025-01-01T00:00:00Z', nodePort('10.96.0.2'));
    for (const services of [
      [old, young],
      [young, old],
    ]) {
      const model = build(services);
      expect(model.servicePorts.map(({ name, nodePort: own }) => [name, own])).to.deep.equal([
        ['old', 30_080],
        ['young', undefined],
      ]);
      expect(model.warnings).to.have.lengthOf(1);
      expect(model.warnings[0]).to.include({ object: 'Service default/young', reason: 'AddressTaken' });
      expect(model.warnings[0]?.message).to.include('belongs to default/old:http, which came first');
    }
  });

  it('goes by the order of the state where no age tells', () => {
    const one = aged('one', undefined, nodePort('10.96.0.1'));
    const two = aged('two', undefined, nodePort('10.96.0.2'));
    expect(build([two, one]).servicePorts.map(({ name, nodePort: own }) => [name, own])).to.deep.equal([
      ['one', undefined],
      ['two', 30_080],
    ]);
  });

  it('lets nobody take over a cluster IP by an external IP', () => {
    const thief = aged('thief', '2020-01-01T00:00:00Z', { clusterIPs: ['10.96.0.1'], externalIPs: ['10.96.0.2'] });
    const owner = aged('owner', '2025-01-01T00:00:00Z', { clusterIPs: ['10.96.0.2'] });
    const model = build([thief, owner]);
    expect(model.servicePorts.map(({ name, externalIPs }) => [name, externalIPs])).to.deep.equal([
      ['owner', []],
      ['thief', []],
    ]);
    // The thief is the older one.
    expect(model.warnings.map(({ message }) => message)).to.have.lengthOf(1);
    expect(model.warnings[0]?.message).to.include('belongs to default/owner:http, whose cluster IP it is');
  });

  it('leaves a Service out that lost its cluster IP', () => {
    const one = aged('one', '2024-01-01T00:00:00Z', { clusterIPs: ['10.96.0.1'] });
    const two = aged('two', '2025-01-01T00:00:00Z', { clusterIPs: ['10.96.0.1'] });
    expect(build([one, two]).servicePorts.map(({ name }) => name)).to.deep.equal(['one']);
  });

  it('gives back what was lost once the owner is gone', () => {
    const options = modelOptions();
    const old = aged('old', '2024-01-01T00:00:00Z', nodePort('10.96.0.1'));
    const young = aged('young', '2025-01-01T00:00:00Z', nodePort('10.96.0.2'));
    buildModel(state([old, young], []), options);
    expect(buildModel(state([young], []), options).servicePorts[0]?.nodePort).to.equal(30_080);
  });
});
