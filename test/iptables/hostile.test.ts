import { expect } from 'chai';
import fc from 'fast-check';
import { planIptables } from '../../src/iptables/plan.ts';
import { desiredIptables, renderIptables } from '../../src/iptables/render.ts';
import { buildModel } from '../../src/model/build.ts';
import { scriptText } from '../../src/ruleset/plan.ts';
import type { EndpointSlice, Service } from '../../src/source/objects.ts';
import { modelOptions, state } from '../support/state.ts';

/** What somebody would write who wants more than a Service. */
const hostileText = fc.oneof(
  fc.constantFrom(
    'web',
    'x"\n-A INPUT -j DROP\n#',
    'a\nCOMMIT\n*filter\n-A INPUT -j DROP',
    'a\\',
    'nul\0l',
    'x -j ACCEPT',
    'a" ; flush ruleset',
    'ѕvc',
    '__proto__',
    'constructor',
    '-j',
    '\u001b[31mred',
    '$(reboot)',
    '',
  ),
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const hostileAddress = fc.oneof(
  fc.constantFrom(
    '10.96.0.10',
    '010.0.0.9',
    '::ffff:1.2.3.4',
    '10.0.0.1,10.0.0.2',
    '10.0.0.1-10.0.0.9',
    '10.0.0.1/24',
    ' 10.0.0.1',
    'fe80::1%eth0',
    '10.1',
    '0x0a000001',
    'localhost',
    '10.0.0.1\n-A INPUT -j DROP',
    '10.0.0.1 -j ACCEPT',
    '<nil>',
    'undefined',
    'fd00::1',
  ),
  hostileText,
);
const hostileNumber = fc.oneof(
  fc.constantFrom(80, 0, -5, 65_535, 65_536, 70_000, 80.5, Number.NaN, Number.POSITIVE_INFINITY),
  fc.integer(),
);
const hostileCidr = fc.oneof(
  fc.constantFrom('10.0.0.0/8', '10.0.0.0/255.0.255.0', '10.0.0.0/33', '0.0.0.0/0', 'fd00::/8'),
  hostileAddress,
);
const few = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 3 });

const hostilePort = fc.record({
  name: hostileText,
  protocol: fc.oneof(fc.constantFrom('TCP', 'UDP', 'SCTP', 'tcp', 'QUIC'), hostileText),
  port: hostileNumber,
  nodePort: hostileNumber,
});

const hostileService: fc.Arbitrary<Service> = fc.record({
  metadata: fc.record({
    namespace: fc.oneof(fc.constant('default'), hostileText),
    name: fc.oneof(fc.constant('web'), hostileText),
  }),
  spec: fc.record({
    type: fc.oneof(fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'), hostileText),
    clusterIP: hostileAddress,
    clusterIPs: few(hostileAddress),
    ipFamilies: few(fc.constantFrom('IPv4', 'IPv6', 'IPv5')),
    ports: few(hostilePort),
    externalIPs: few(hostileAddress),
    loadBalancerSourceRanges: few(hostileCidr),
    sessionAffinity: fc.constantFrom('None', 'ClientIP', 'Cookie'),
    sessionAffinityConfig: fc.record({ clientIP: fc.record({ timeoutSeconds: hostileNumber }) }),
    externalTrafficPolicy: fc.constantFrom('Cluster', 'Local', 'local'),
    internalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
    healthCheckNodePort: hostileNumber,
  }),
  status: fc.record({
    loadBalancer: fc.record({
      ingress: few(fc.record({ ip: hostileAddress, ipMode: fc.constantFrom('VIP', 'Proxy') })),
    }),
  }),
});

const hostileSlice: fc.Arbitrary<EndpointSlice> = fc.record({
  metadata: fc.constant({ namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } }),
  addressType: fc.constantFrom('IPv4', 'IPv6', 'FQDN', 'IPX'),
  ports: few(
    fc.record({
      name: fc.oneof(fc.constant('web'), hostileText),
      protocol: fc.constantFrom('TCP', 'UDP', 'QUIC', null),
      port: fc.oneof(hostileNumber, fc.constant(null)),
    }),
  ),
  endpoints: few(fc.record({ addresses: few(hostileAddress), nodeName: fc.oneof(fc.constant('node-1'), hostileText) })),
});

const name = '[a-z0-9][-a-z0-9]*/[a-z0-9][-a-z0-9]*(?::[a-z0-9][-a-z0-9]*)?';
const address = '[0-9a-f.:]+';
const key = `(?:\\d+\\.\\d+\\.\\d+\\.\\d+|\\[[0-9a-f:]+\\]):\\d{1,5}`;
const comment = `"(?:kubernetes [-a-z A-Z;:]+|block incoming localnet connections|(?:[a-zA-Z]+ )*${name}(?: [-a-zA-Z0-9>.:\\[\\] ]+)?)"`;

/** Everything that may stand in a line of ours; whatever else appears is a hole. */
const line = new RegExp(
  `^(?:\\*(?:nat|filter)|COMMIT|:KUBE-[-A-Z2-7]+ - \\[0:0\\]|-X KUBE-[-A-Z2-7]+|-[ADI] [-A-Z2-7]+(?: 1)?(?: (?:!|-[sd] ${address}/\\d{1,3}|-i \\S{1,15}|-p (?:tcp|udp|sctp)|-m [a-z]+|--comment ${comment}|--dport \\d{1,5}|--ctstate [A-Z,]+|--(?:dst|src)-type LOCAL|--mark 0x[0-9a-f]+/0x[0-9a-f]+|--set-xmark 0x[0-9a-f]+/0x[0-9a-f]+|--random-fully|--mode random|--probability [01]\\.\\d{11}|--set|--rcheck|--seconds \\d+|--reap|--rsource|--name KUBE-SEP-[A-Z2-7]{16}|--mask ${address}|--to-destination ${key}|--reject-with icmp6?-port-unreachable|-j (?:KUBE-[-A-Z2-7]+|DROP|ACCEPT|RETURN|REJECT|MARK|MASQUERADE|DNAT)))*)$`,
);

describe('what users write', () => {
  for (const family of ['IPv4', 'IPv6'] as const) {
    it(`never becomes a rule of its own, in ${family}`, () => {
      fc.assert(
        fc.property(few(hostileService), few(hostileSlice), (services, slices) => {
          const model = buildModel(state(services, slices), modelOptions({ family }));
          const plan = planIptables({ parts: [] }, desiredIptables(model, { counters: false }), {
            family,
            variant: 'nft',
          });
          const texts = [renderIptables(model, { counters: false }), ...plan.scripts.map(scriptText)];
          for (const each of texts.join('').split('\n').slice(0, -1)) expect(each).to.match(line);
          for (const port of [...texts.join('').matchAll(/--dport (\d+)|:(\d+)$/gm)]) {
            expect(Number(port[1] ?? port[2])).to.be.within(1, 65_535);
          }
        }),
        { numRuns: 400 },
      );
    });
  }

  it('is named in warnings without a control character', () => {
    fc.assert(
      fc.property(few(hostileService), few(hostileSlice), (services, slices) => {
        const { warnings } = buildModel(state(services, slices), modelOptions());
        // eslint-disable-next-line no-control-regex -- that is the question
        for (const warning of warnings) expect(Object.values(warning).join(' ')).not.to.match(/[\x00-\x1f\x7f]/);
      }),
      { numRuns: 300 },
    );
  });
});
