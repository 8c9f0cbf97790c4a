import { expect } from 'chai';
import { buildModel } from '../../src/model/build.ts';
import type { ModelOptions } from '../../src/model/options.ts';
import { planNftables } from '../../src/nftables/plan.ts';
import { desiredNftables } from '../../src/nftables/render.ts';
import { scriptText } from '../../src/ruleset/plan.ts';
import type { Plan } from '../../src/ruleset/plan.ts';
import { objectsOf } from '../../src/ruleset/ruleset.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import type { ClusterState, Service } from '../../src/source/objects.ts';
import { endpoint, manyServices, modelOptions, port, service, slice, state, withEndpoints } from '../support/state.ts';
import { createTestKernel } from './kernel.ts';
import type { TestKernel } from './kernel.ts';

const options = modelOptions();
const desiredOf = (cluster: ClusterState, given: ModelOptions = options) => desiredNftables(buildModel(cluster, given));
const nothing: Ruleset = { parts: [] };

/** `default/web` with endpoints 10.244.1.N. */
const web = (numbers: readonly number[], spec: Partial<Service['spec']> = {}, more: readonly Service[] = []) =>
  state([service(spec), ...more], [slice(numbers.map((number) => endpoint(`10.244.1.${number}`)))]);

const loadBalancer = (ranges: readonly string[]): Service => ({
  ...service({
    type: 'LoadBalancer',
    ports: [port({ nodePort: 30080 })],
    externalTrafficPolicy: 'Local',
    loadBalancerSourceRanges: ranges,
  }),
  status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
});
const balanced = (numbers: readonly number[], ranges: readonly string[]) => ({
  ...web(numbers),
  services: [loadBalancer(ranges)],
});

const steps: readonly (readonly [string, ClusterState, ModelOptions?])[] = [
  ['one Service', web([1, 2, 3])],
  ['an endpoint less', web([1, 3])],
  ['more endpoints than ever', web([1, 2, 3, 4, 5, 6, 7])],
  ['none', web([])],
  ['one again', web([9])],
  ['the same Service with session affinity', web([1, 2, 9], { sessionAffinity: 'ClientIP' })],
  [
    'another timeout',
    web([1, 2], { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }),
  ],
  ['without affinity', web([1, 2])],
  ['a load balancer with a policy and source ranges', balanced([1, 2], ['10.0.0.0/8', '10.1.0.0/16'])],
  ['a narrower range inside the old one', balanced([1, 2], ['10.1.0.0/16', '172.18.0.0/24'])],
  ['a wider range around the old one', balanced([1, 2], ['10.0.0.0/8', '172.16.0.0/12'])],
  ['another Service with the same address', web([1], { clusterIP: '203.0.113.1', clusterIPs: ['203.0.113.1'] })],
  [
    'other node port addresses',
    web([1], { type: 'NodePort', ports: [port({ nodePort: 30080 })] }),
    modelOptions({ nodePortAddresses: ['172.18.0.11'] }),
  ],
  [
    'all node port addresses again, and another mark',
    web([1]),
    modelOptions({ masqueradeBit: 31, masqueradeAll: true }),
  ],
  ['a range of service addresses', web([1], {}, []), options],
  [
    'unused addresses dropped',
    {
      ...web([1]),
      serviceCIDRs: [
        { metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.96.0.0/16', '10.96.0.0/20', '10.112.0.0/16'] } },
      ],
    },
  ],
  [
    'ranges of one address each',
    { ...web([1]), serviceCIDRs: [{ metadata: { name: 'one' }, spec: { cidrs: ['10.96.0.10/32'] } }] },
    modelOptions({ localDetector: { kind: 'cidr', cidr: '10.244.1.1/32' } }),
  ],
  [
    'two Services that claim one address and one node port',
    web([1], { type: 'NodePort', ports: [port({ nodePort: 30080 })], externalIPs: ['198.51.100.1'] }, [
      service(
        {
          clusterIP: '10.96.0.11',
          type: 'NodePort',
          ports: [port({ nodePort: 30080 })],
          externalIPs: ['198.51.100.1', '10.96.0.10'],
        },
        { name: 'other' },
      ),
    ]),
  ],
  ['many Services', manyServices(300, 3)],
  ['nothing', state([], [])],
];

describe('changes of a table in the kernel', function () {
  this.timeout(60_000);
  let kernel: TestKernel;

  before(async () => {
    kernel = await createTestKernel();
  });
  after(() => kernel.remove());

  it('each takes one transaction, behind one that only adds, and leaves what is desired, and nothing else', async () => {
    let live = nothing;
    for (const [step, cluster, given] of steps) {
      const desired = desiredOf(cluster, given);
      const plan = planNftables(live, desired, 'IPv4');
      const ahead = plan.scripts.filter(({ phase }) => phase === 'change').slice(0, -1);
      expect(ahead.length, step).to.be.at.most(1);
      for (const script of ahead) expect(scriptText(script), step).to.match(/^(add (chain|rule|set) .*\n)+$/);
      await kernel.apply(plan);
      const listed = await kernel.list('IPv4');
      expect(planNftables(listed, desired, 'IPv4').changes, step).to.deep.equal([]);
      expect([...objectsOf(listed).keys()].sort(), step).to.deep.equal([...objectsOf(plan.after).keys()].sort());
      expect(planNftables(listed, plan.after, 'IPv4').changes, step).to.deep.equal([]);
      live = plan.after;
    }
  });

  it('each can be made from a listing as well', async () => {
    await kernel.flush();
    for (const [step, cluster, given] of steps.toReversed()) {
      const desired = desiredOf(cluster, given);
      await kernel.apply(planNftables(await kernel.list('IPv4'), desired, 'IPv4'));
      expect(planNftables(await kernel.list('IPv4'), desired, 'IPv4').changes, step).to.deep.equal([]);
    }
  });

  it('repairs a base chain with another priority and a set of another type', async () => {
    await kernel.flush();
    const desired = desiredOf(web([1, 2], { sessionAffinity: 'ClientIP' }));
    await kernel.apply(planNftables(nothing, desired, 'IPv4'));
    const text = await kernel.text('IPv4');
    await kernel.flush();
    await kernel.load(
      text
        .replace('priority dstnat; ', 'priority dstnat + 5; ')
        .replace(/(map service-ips \{\n\s+type )ipv4_addr . inet_proto . inet_service/, '$1ipv4_addr . inet_service')
        .replaceAll(/(\d+) \. tcp \. 80 : goto/g, '$1 . 80 : goto')
        .replace('ip daddr . meta l4proto . th dport vmap @service-ips', 'ip daddr . th dport vmap @service-ips')
        .replace(/(set cluster-ips \{\n\s+type ipv4_addr)/, '$1\n\t\tflags interval'),
    );
    const plan = planNftables(await kernel.list('IPv4'), desired, 'IPv4');
    expect(plan.changes.map(({ object }) => object)).to.include.members([
      'ip kube-proxy nat-prerouting',
      'ip kube-proxy service-ips',
      'ip kube-proxy cluster-ips',
    ]);
    expect(plan.scripts).to.have.lengthOf(1);
    await kernel.apply(plan);
    expect(planNftables(await kernel.list('IPv4'), desired, 'IPv4').changes).to.deep.equal([]);
  });

  it('takes another affinity timeout in one change, and forgets no client', async () => {
    await kernel.flush();
    const sticky = (timeoutSeconds: number) =>
      desiredOf(web([1, 2], { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds } } }));
    await kernel.apply(planNftables(nothing, sticky(10_800), 'IPv4'));
    const [, set = ''] = /set (affinity-\S+) \{/.exec(await kernel.text('IPv4')) ?? [];
    await kernel.load(`add element ip kube-proxy ${set} { 172.18.0.100 }\n`);
    await kernel.apply(planNftables(await kernel.list('IPv4'), sticky(60), 'IPv4'));
    // Not so the set's own timeout: kernels before 6.2 do not change that.
    expect(await kernel.text('IPv4'))
      .to.include(`update @${set} { ip saddr timeout 1m }`)
      .and.include('172.18.0.100');
    expect(planNftables(await kernel.list('IPv4'), sticky(60), 'IPv4').changes).to.deep.equal([]);
  });

  it('puts back what somebody removed, changed or added', async () => {
    await kernel.flush();
    const desired = desiredOf(web([1, 2]));
    await kernel.apply(planNftables(nothing, desired, 'IPv4'));
    const harms = [
      'flush chain ip kube-proxy services',
      'delete element ip kube-proxy service-ips { 10.96.0.10 . tcp . 80 }',
      'add element ip kube-proxy no-endpoint-services { 10.96.0.10 . tcp . 81 : drop }',
      'insert rule ip kube-proxy class-2 drop',
      'add chain ip kube-proxy stranger { type filter hook input priority 0; policy drop; }',
      'flush map ip kube-proxy tcp-endpoints',
      'delete table ip kube-proxy',
    ];
    for (const harm of harms) {
      await kernel.load(`${harm}\n`);
      const plan = planNftables(await kernel.list('IPv4'), desired, 'IPv4');
      expect(plan.changes, harm).not.to.be.empty;
      await kernel.apply(plan);
      expect(planNftables(await kernel.list('IPv4'), desired, 'IPv4').changes, harm).to.deep.equal([]);
    }
  });
});

describe('the script of a change', () => {
  const scriptsOf = ({ scripts }: Plan) => scripts.map((script) => ({ phase: script.phase, text: scriptText(script) }));

  it('moves the last endpoint into the slot of one that leaves, and removes the unused class later', () => {
    const before = planNftables(nothing, desiredOf(web([1, 2, 3, 4])), 'IPv4').after;
    const plan = planNftables(before, desiredOf(web([1, 3, 4])), 'IPv4');
    expect(scriptsOf(plan)).to.deep.equal([
      {
        phase: 'change',
        text: [
          'add chain ip kube-proxy class-3',
          'add rule ip kube-proxy class-3 dnat ip to ip daddr . tcp dport . numgen random mod 3 map @tcp-endpoints',
          'add rule ip kube-proxy class-3 dnat ip to ip daddr . tcp dport . numgen random mod 1 map @tcp-endpoints',
          'add rule ip kube-proxy class-3 dnat ip to ip daddr . udp dport . numgen random mod 3 map @udp-endpoints',
          'add rule ip kube-proxy class-3 dnat ip to ip daddr . udp dport . numgen random mod 1 map @udp-endpoints',
          'add rule ip kube-proxy class-3 dnat ip to ip daddr . sctp dport . numgen random mod 3 map @sctp-endpoints',
          'add rule ip kube-proxy class-3 dnat ip to ip daddr . sctp dport . numgen random mod 1 map @sctp-endpoints',
          '',
        ].join('\n'),
      },
      {
        phase: 'change',
        text: [
          'delete element ip kube-proxy hairpin-connections {',
          '\t10.244.1.2 . 10.244.1.2 . tcp . 8080,',
          '}',
          'delete element ip kube-proxy service-ips {',
          '\t10.96.0.10 . tcp . 80,',
          '}',
          'delete element ip kube-proxy tcp-endpoints {',
          '\t10.96.0.10 . 80 . 1,',
          '\t10.96.0.10 . 80 . 3,',
          '}',
          'add element ip kube-proxy service-ips {',
          '\t10.96.0.10 . tcp . 80 : goto class-3,',
          '}',
          'add element ip kube-proxy tcp-endpoints {',
          '\t10.96.0.10 . 80 . 1 : 10.244.1.4 . 8080,',
          '}',
          '',
        ].join('\n'),
      },
      {
        phase: 'clean-up',
        text: 'flush chain ip kube-proxy class-4\ndelete chain ip kube-proxy class-4\n',
      },
    ]);
  });

  const reachable = { type: 'NodePort', ports: [port({ nodePort: 30080 })], externalIPs: ['198.51.100.1'] };
  const turns: readonly (readonly [string, Partial<Service['spec']>, Partial<Service['spec']>])[] = [
    ['session affinity', reachable, { ...reachable, sessionAffinity: 'ClientIP' }],
    ['another external policy', { ...reachable, externalTrafficPolicy: 'Local' }, reachable],
  ];
  for (const [what, before, after] of turns) {
    it(`removes later what a packet on its way may still look for: ${what}`, () => {
      const live = planNftables(nothing, desiredOf(web([1, 2], before)), 'IPv4').after;
      const scripts = scriptsOf(planNftables(live, desiredOf(web([1, 2], after)), 'IPv4'));
      const change = scripts.findLast(({ phase }) => phase === 'change');
      const cleanUp = scripts.find(({ phase }) => phase === 'clean-up');
      expect(change?.text).to.include('delete element ip kube-proxy service-nodeports {\n\ttcp . 30080,\n}');
      const removals = /delete element \S+ \S+ \S*(?:class|endpoints)\S* \{\n[^}]*\t(?:198|tcp|30080)[^}]*\}/g;
      expect(change?.text.match(removals)).to.equal(null);
      expect(cleanUp?.text.match(removals)).to.have.lengthOf(4);
    });
  }

  it('removes at once what goes with the last endpoint, and a slot of several', () => {
    for (const [numbers, fewer] of [
      [[1, 2], []],
      [[1, 2], [2]],
    ] as const) {
      const live = planNftables(nothing, desiredOf(web(numbers, reachable)), 'IPv4').after;
      const scripts = scriptsOf(planNftables(live, desiredOf(web(fewer, reachable)), 'IPv4'));
      const later = scripts.filter(({ phase }) => phase === 'clean-up');
      expect(later.map(({ text }) => text).join('')).not.to.include('delete element');
    }
  });

  it('names the Service on the lines that exist for it', () => {
    const { scripts, changes } = planNftables(nothing, desiredOf(manyServices(3, 2)), 'IPv4');
    const lines = scripts[0]!.segments.filter(({ text }) => text.includes('10.96.0.1 .'));
    expect(lines).not.to.be.empty;
    for (const { service: owner } of lines) expect(owner).to.deep.equal({ namespace: 'default', name: 'svc-000001' });
    expect(
      changes.filter(({ object }) => object === 'ip kube-proxy service-ips').map((change) => change.service?.name),
    ).to.deep.equal(['svc-000000', 'svc-000001', 'svc-000002']);
  });

  it('keeps an element of a set until the last service port that wants it is gone', () => {
    const two = service({ ports: [port(), port({ name: 'admin', port: 81 })] });
    const before = planNftables(nothing, desiredOf(state([two], [slice([endpoint('10.244.1.1')])])), 'IPv4').after;
    const plan = planNftables(before, desiredOf(state([service()], [slice([endpoint('10.244.1.1')])])), 'IPv4');
    expect(plan.changes.map(({ object }) => object)).to.deep.equal(['ip kube-proxy no-endpoint-services']);
  });

  it('leaves what is live of a withheld Service, and the class it needs', () => {
    const before = planNftables(nothing, desiredOf(web([1, 2, 3])), 'IPv4').after;
    const other = service({ clusterIP: '10.96.0.11', clusterIPs: ['10.96.0.11'] }, { name: 'other' });
    const desired = desiredOf(web([4], {}, [other]));
    const isWithheld = ({ name }: { readonly name: string }) => name === 'web';
    const plan = planNftables(before, desired, 'IPv4', isWithheld);
    expect(plan.changes.map(({ object, service: owner }) => `${object} ${owner?.name ?? ''}`.trim())).to.have.members([
      'ip kube-proxy class-1',
      'ip kube-proxy cluster-ips other',
      'ip kube-proxy no-endpoint-services other',
    ]);
    expect(planNftables(plan.after, desired, 'IPv4', isWithheld).changes).to.deep.equal([]);
    const freed = planNftables(plan.after, desired, 'IPv4');
    expect(freed.changes.some(({ service: owner }) => owner?.name === 'web')).to.be.true;
  });

  it('is as small among many Services as among few', () => {
    const linesFor = (count: number) => {
      const before = manyServices(count, 3);
      const live = planNftables(nothing, desiredOf(before), 'IPv4').after;
      const after = withEndpoints(before, 'svc-000001', [endpoint('10.250.0.1'), endpoint('10.250.0.2')]);
      const { scripts } = planNftables(live, desiredOf(after), 'IPv4');
      return scripts.map((script) => scriptText(script).split('\n').length);
    };
    expect(linesFor(3000)).to.deep.equal(linesFor(10));
  });
});

describe('the shape of a table', () => {
  it('does not grow with the number of Services', () => {
    const countOf = (services: number) => objectsOf(desiredOf(manyServices(services, 2))).size;
    expect([10, 1000, 10_000].map(countOf)).to.deep.equal([47, 47, 47]);
  }).timeout(60_000);
});
