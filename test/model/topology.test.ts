import { expect } from 'chai';
import { buildModel } from '../../src/model/build.ts';
import type { ModelOptions } from '../../src/model/options.ts';
import type { ServicePort } from '../../src/model/model.ts';
import type { Node, Service, SliceEndpoint } from '../../src/source/objects.ts';
import { endpoint, modelOptions, port, service, slice, state } from '../support/state.ts';

const here = 'node-1';
const there = 'node-2';
const ready = { ready: true };
const notReady = { ready: false, serving: false };
const serving = { ready: false, serving: true, terminating: true };
const gone = { ready: false, serving: false, terminating: true };

const at = (address: string, nodeName: string, conditions: SliceEndpoint['conditions'], rest = {}): SliceEndpoint =>
  endpoint(address, { nodeName, conditions: conditions ?? null, ...rest });

const node: Node = { metadata: { name: here, labels: { 'topology.kubernetes.io/zone': 'a' } } };
const zones = (...names: string[]) => ({ hints: { forZones: names.map((name) => ({ name })) } });
const nodes = (...names: string[]) => ({ hints: { forNodes: names.map((name) => ({ name })) } });

const local = { externalTrafficPolicy: 'Local', type: 'NodePort', ports: [port({ nodePort: 30_080 })] };
const internalLocal = { internalTrafficPolicy: 'Local' };

interface Expected {
  readonly cluster?: readonly string[];
  readonly local?: readonly string[];
  readonly internal: string;
  readonly external?: string;
}

/** Spec 5, row by row. */
const cases: readonly [string, Partial<Service['spec']>, readonly SliceEndpoint[], Expected][] = [
  ['rejects without endpoints', {}, [], { internal: 'reject' }],
  ['rejects when no endpoint is ready', {}, [at('10.0.0.1', here, notReady)], { internal: 'reject' }],
  [
    'uses ready endpoints of all nodes',
    {},
    [at('10.0.0.2', there, ready), at('10.0.0.1', here, ready), at('10.0.0.3', here, notReady)],
    { cluster: ['10.0.0.1', '10.0.0.2'], internal: 'dnat' },
  ],
  [
    'takes a missing condition for ready',
    {},
    [at('10.0.0.1', here, null)],
    { cluster: ['10.0.0.1'], internal: 'dnat' },
  ],
  [
    'prefers ready endpoints to those that terminate',
    {},
    [at('10.0.0.1', here, serving), at('10.0.0.2', here, ready)],
    { cluster: ['10.0.0.2'], internal: 'dnat' },
  ],
  [
    'falls back to endpoints that terminate but serve',
    {},
    [at('10.0.0.1', here, serving), at('10.0.0.2', here, gone)],
    { cluster: ['10.0.0.1'], internal: 'dnat' },
  ],
  [
    'never uses what serves but is neither ready nor terminating',
    {},
    [at('10.0.0.1', here, { ready: false, serving: true })],
    { internal: 'reject' },
  ],
  [
    'keeps internal traffic on the node when told so',
    internalLocal,
    [at('10.0.0.1', here, ready), at('10.0.0.2', there, ready)],
    { local: ['10.0.0.1'], internal: 'dnat' },
  ],
  [
    'drops internal traffic without a local endpoint',
    internalLocal,
    [at('10.0.0.2', there, ready)],
    { internal: 'drop' },
  ],
  [
    'drops rather than rejects when a remote endpoint terminates but serves',
    internalLocal,
    [at('10.0.0.2', there, serving)],
    { internal: 'drop' },
  ],
  [
    'rejects with a Local policy when nobody can serve',
    internalLocal,
    [at('10.0.0.2', there, gone)],
    { internal: 'reject' },
  ],
  [
    'keeps external traffic on the node and internal traffic free',
    local,
    [at('10.0.0.1', here, ready), at('10.0.0.2', there, ready)],
    { cluster: ['10.0.0.1', '10.0.0.2'], local: ['10.0.0.1'], internal: 'dnat', external: 'dnat' },
  ],
  [
    'drops external traffic without a local endpoint',
    local,
    [at('10.0.0.2', there, ready)],
    { cluster: ['10.0.0.2'], internal: 'dnat', external: 'drop' },
  ],
  [
    'falls back to a local endpoint that terminates, for external traffic alone',
    local,
    [at('10.0.0.1', here, serving), at('10.0.0.2', there, ready)],
    { cluster: ['10.0.0.2'], local: ['10.0.0.1'], internal: 'dnat', external: 'dnat' },
  ],
  [
    'ignores an external policy on a Service that is not external',
    { externalTrafficPolicy: 'Local' },
    [at('10.0.0.2', there, ready)],
    { cluster: ['10.0.0.2'], internal: 'dnat', external: 'dnat' },
  ],
  [
    'uses the endpoints hinted for this zone',
    {},
    [
      at('10.0.0.1', here, ready, zones('a')),
      at('10.0.0.2', there, ready, zones('b', 'a')),
      at('10.0.0.3', there, ready, zones('b')),
    ],
    { cluster: ['10.0.0.1', '10.0.0.2'], internal: 'dnat' },
  ],
  [
    'ignores hints when one ready endpoint has none',
    {},
    [at('10.0.0.1', here, ready, zones('a')), at('10.0.0.2', there, ready)],
    { cluster: ['10.0.0.1', '10.0.0.2'], internal: 'dnat' },
  ],
  [
    'ignores hints when none is for this zone',
    {},
    [at('10.0.0.1', here, ready, zones('b')), at('10.0.0.2', there, ready, zones('c'))],
    { cluster: ['10.0.0.1', '10.0.0.2'], internal: 'dnat' },
  ],
  [
    'does not ask endpoints that are not ready for hints',
    {},
    [
      at('10.0.0.1', here, ready, zones('a')),
      at('10.0.0.2', there, notReady),
      at('10.0.0.3', there, ready, zones('b')),
    ],
    { cluster: ['10.0.0.1'], internal: 'dnat' },
  ],
  [
    'prefers hints for this node to those for its zone',
    {},
    [
      at('10.0.0.1', here, ready, { hints: { forNodes: [{ name: here }], forZones: [{ name: 'a' }] } }),
      at('10.0.0.2', there, ready, { hints: { forNodes: [{ name: there }], forZones: [{ name: 'a' }] } }),
    ],
    { cluster: ['10.0.0.1'], internal: 'dnat' },
  ],
  [
    'ignores hints for nodes when none is for this one',
    {},
    [at('10.0.0.1', here, ready, nodes(there)), at('10.0.0.2', there, ready, nodes(there))],
    { cluster: ['10.0.0.1', '10.0.0.2'], internal: 'dnat' },
  ],
  [
    'never narrows local endpoints by hints',
    { ...internalLocal },
    [at('10.0.0.1', here, ready, zones('b')), at('10.0.0.2', there, ready, zones('a'))],
    { local: ['10.0.0.1'], internal: 'dnat' },
  ],
];

describe('the choice of endpoints', () => {
  for (const [title, spec, endpoints, expected] of cases) {
    it(title, () => {
      const one = only(spec, endpoints);
      expect({
        cluster: one.clusterEndpoints.map(({ address }) => address),
        local: one.localEndpoints.map(({ address }) => address),
        internal: one.internalVerdict,
      }).to.deep.equal({ cluster: [], local: [], internal: expected.internal, ...pick(expected) });
      if (expected.external !== undefined) expect(one.externalVerdict).to.equal(expected.external);
      const reachable = new Set([...one.clusterEndpoints, ...one.localEndpoints]);
      expect(one.reachableEndpoints).to.have.members([...reachable]);
    });
  }

  it('says of every endpoint that gets nothing why', () => {
    const one = only(local, [
      at('10.0.0.1', here, notReady),
      at('10.0.0.2', there, ready),
      at('10.0.0.3', here, gone),
      at('10.0.0.4', here, ready),
    ]);
    const reasons = one.leftOut.map(({ endpoint: { address }, from, why }) => `${address} ${from}: ${why}`);
    expect(reasons).to.have.members([
      '10.0.0.1 cluster: not ready',
      '10.0.0.3 cluster: terminating',
      '10.0.0.1 local: not ready',
      '10.0.0.2 local: not local',
      '10.0.0.3 local: terminating',
    ]);
  });

  it('sorts endpoints by the bytes of address and port', () => {
    const one = only(
      {},
      ['10.0.1.1', '10.0.1.10', '10.0.1.2'].map((address) => at(address, here, ready)),
    );
    expect(one.clusterEndpoints.map(({ key }) => key)).to.deep.equal([
      '10.0.1.10:8080',
      '10.0.1.1:8080',
      '10.0.1.2:8080',
    ]);
  });

  it('lets an endpoint that runs win over the same one terminating, in any order of slices', () => {
    const running = slice([at('10.0.0.1', here, ready)], {
      metadata: { namespace: 'default', name: 'a', labels: { 'kubernetes.io/service-name': 'web' } },
    });
    const leaving = slice([at('10.0.0.1', here, serving)], {
      metadata: { namespace: 'default', name: 'b', labels: { 'kubernetes.io/service-name': 'web' } },
    });
    for (const slices of [
      [running, leaving],
      [leaving, running],
    ]) {
      const [one] = buildModel(state([service()], slices), modelOptions()).servicePorts;
      expect(one?.clusterEndpoints.map(({ isReady }) => isReady)).to.deep.equal([true]);
    }
  });

  it('follows the node to another zone', () => {
    const slices = [slice([at('10.0.0.1', here, ready, zones('a')), at('10.0.0.2', there, ready, zones('b'))])];
    const options = modelOptions();
    const of = state([service()], slices, { node });
    const moved = { ...of, node: { metadata: { name: here, labels: { 'topology.kubernetes.io/zone': 'b' } } } };
    const used = [of, moved].map((each) =>
      buildModel(each, options).servicePorts[0]?.clusterEndpoints.map(({ address }) => address),
    );
    expect(used).to.deep.equal([['10.0.0.1'], ['10.0.0.2']]);
  });
});

function only(
  spec: Partial<Service['spec']>,
  endpoints: readonly SliceEndpoint[],
  options: Partial<ModelOptions> = {},
): ServicePort {
  const [one] = buildModel(state([service(spec)], [slice(endpoints)], { node }), modelOptions(options)).servicePorts;
  if (one === undefined) throw new Error('no service port');
  return one;
}

function pick({ cluster, local: own }: Expected): object {
  return { ...(cluster === undefined ? {} : { cluster }), ...(own === undefined ? {} : { local: own }) };
}
