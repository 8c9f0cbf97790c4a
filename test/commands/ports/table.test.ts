import { expect } from 'chai';
import { portTable } from '../../../src/commands/ports/table.ts';
import type { PortTableInput } from '../../../src/commands/ports/table.ts';
import { portsText } from '../../../src/commands/ports/text.ts';
import { buildModel } from '../../../src/model/build.ts';
import type { ModelOptions } from '../../../src/model/options.ts';
import type { ClusterState } from '../../../src/source/objects.ts';
import { endpoint, modelOptions, port, service, slice, state } from '../../support/state.ts';

const plain = { added: String, removed: String, heading: String, faint: String };

function table(of: ClusterState, overrides: Partial<PortTableInput> = {}, options: Partial<ModelOptions> = {}) {
  return portTable({
    state: of,
    models: [buildModel(of, modelOptions(options))],
    problems: [],
    nodeAddresses: ['172.18.0.11', '127.0.0.1', 'fe80::1'],
    nodePortRange: { first: 30000, last: 32767 },
    suggest: 0,
    ...overrides,
  });
}

function nodePortService(
  overrides: Partial<Parameters<typeof service>[0]> = {},
  name = 'web',
  clusterIP = '10.96.0.10',
) {
  return service({ type: 'NodePort', clusterIP, ports: [port({ nodePort: 30080 })], ...overrides }, { name });
}

const web = state(
  [nodePortService()],
  [slice([endpoint('10.244.0.2'), endpoint('10.244.1.2', { nodeName: 'node-2' })])],
);

describe('the table of node ports', () => {
  it('tells what a node port leads to and where it answers', () => {
    expect(table(web).nodePorts).to.deep.equal([
      {
        nodePort: 30080,
        protocol: 'TCP',
        namespace: 'default',
        name: 'web',
        portName: 'http',
        port: 80,
        targetPort: 8080,
        type: 'NodePort',
        externalTrafficPolicy: 'Cluster',
        endpoints: { ready: 2, local: 1, total: 2 },
        addresses: ['172.18.0.11', '127.0.0.1'],
        problems: [],
      },
    ]);
  });

  it('is empty where no Service has a node port', () => {
    expect(table(state([service()], [])).nodePorts).to.deep.equal([]);
  });

  it('names a port only if it has a name, and sorts by number', () => {
    const unnamed = { protocol: 'UDP', port: 53, nodePort: 30053 };
    const found = table(state([nodePortService({ ports: [port({ nodePort: 30080 }), unnamed] })], []));
    expect(found.nodePorts.map(({ nodePort, portName, targetPort }) => [nodePort, portName, targetPort])).to.deep.equal(
      [
        [30053, undefined, 53],
        [30080, 'http', 8080],
      ],
    );
    expect(found.nodePorts[0]).not.to.have.property('portName');
  });

  const addresses: readonly { title: string; options: Partial<ModelOptions>; expected: readonly string[] }[] = [
    {
      title: 'leaves localhost out where the kernel does not let it',
      options: { localhostNodePorts: false },
      expected: ['172.18.0.11'],
    },
    {
      title: 'gives only the node port addresses',
      options: { nodePortAddresses: ['172.18.0.11'] },
      expected: ['172.18.0.11'],
    },
    { title: 'gives none if no address is one', options: { nodePortAddresses: [] }, expected: [] },
  ];
  for (const { title, options, expected } of addresses) {
    it(title, () => {
      expect(table(web, {}, options).nodePorts[0]?.addresses).to.deep.equal(expected);
    });
  }

  it('lists addresses of both families for a dual-stack Service, and a pod once', () => {
    const dual = state(
      [nodePortService({ clusterIPs: ['10.96.0.10', 'fd00::10'], ipFamilies: ['IPv4', 'IPv6'] })],
      [
        slice([endpoint('10.244.0.2')]),
        slice([endpoint('fd00:1::2')], { addressType: 'IPv6', metadata: { ...slice([]).metadata, name: 'web-2' } }),
      ],
    );
    const models = [
      buildModel(dual, modelOptions()),
      buildModel(dual, modelOptions({ family: 'IPv6', localhostNodePorts: false, nodePortAddresses: 'all' })),
    ];
    const [found] = table(dual, { models, nodeAddresses: ['172.18.0.11', 'fc00::11', '::1', 'fe80::1'] }).nodePorts;
    expect(found?.addresses).to.deep.equal(['172.18.0.11', '127.0.0.1', 'fc00::11']);
    expect(found?.endpoints).to.deep.equal({ ready: 1, local: 1, total: 1 });
  });

  it('lists health check node ports apart, and counts them as taken', () => {
    const balanced = state(
      [nodePortService({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30001 })],
      [slice([endpoint('10.244.0.2')])],
    );
    const found = table(balanced);
    expect(found.healthCheckNodePorts).to.deep.equal([
      { nodePort: 30001, namespace: 'default', name: 'web', problems: [] },
    ]);
    expect(found.free).to.deep.equal({ static: 84, dynamic: 2682 });
  });
});

describe('free node ports', () => {
  it('are counted by the bands of the API server', () => {
    expect(table(web).free).to.deep.equal({ static: 85, dynamic: 2682 });
    expect(table(web, { nodePortRange: { first: 30070, last: 30085 } }).free).to.deep.equal({ static: 0, dynamic: 15 });
  });

  it('are suggested from the static band, and only those nothing on the host is in the way of', () => {
    const host = {
      listeners: [{ protocol: 'TCP', address: '0.0.0.0', port: 30000 }] as const,
      ephemeral: { first: 30001, last: 30003, reserved: [{ first: 30002, last: 30002 }] },
    };
    expect(table(web, { suggest: 3, host }).suggested).to.deep.equal([30002, 30004, 30005]);
    expect(table(web, { suggest: 200 }).suggested)
      .to.have.length(85)
      .and.not.include(30080);
  });
});

describe('problems of node ports', () => {
  const codes = (...args: Parameters<typeof table>) =>
    table(...args).nodePorts.flatMap((one) => one.problems.map(({ code }) => code));
  const listener = (address: string, rest = {}) => ({
    listeners: [{ protocol: 'TCP' as const, address, port: 30080, ...rest }],
  });
  const local = nodePortService({ externalTrafficPolicy: 'Local' });
  const remote = endpoint('10.244.1.2', { nodeName: 'node-2' });
  const unready = endpoint('10.244.0.2', { conditions: { ready: false } });

  const cases: readonly { title: string; args: Parameters<typeof table>; expected: readonly string[] }[] = [
    { title: 'no endpoint', args: [state([nodePortService()], [])], expected: ['no-endpoints'] },
    {
      title: 'only endpoints that are not ready',
      args: [state([nodePortService()], [slice([unready])])],
      expected: ['no-endpoints'],
    },
    {
      title: 'no endpoint here with policy Local',
      args: [state([local], [slice([remote])])],
      expected: ['no-local-endpoint'],
    },
    {
      title: 'an endpoint here with policy Local',
      args: [state([local], [slice([endpoint('10.244.0.2')])])],
      expected: [],
    },
    { title: 'no node port address', args: [web, {}, { nodePortAddresses: [] }], expected: ['unreachable'] },
    {
      title: 'a port outside the range',
      args: [web, { nodePortRange: { first: 31000, last: 32767 } }],
      expected: ['outside-range'],
    },
    { title: 'a program on all addresses', args: [web, { host: listener('0.0.0.0') }], expected: ['host-listener'] },
    {
      title: 'a program on all addresses of both families',
      args: [web, { host: listener('::') }],
      expected: ['host-listener'],
    },
    {
      title: 'a program on one address of the node',
      args: [web, { host: listener('172.18.0.11') }],
      expected: ['host-listener'],
    },
    {
      title: 'a program on an address without node ports',
      args: [web, { host: listener('172.19.0.1') }],
      expected: [],
    },
    {
      title: 'a program on localhost where node ports answer too',
      args: [web, { host: listener('127.0.0.1') }],
      expected: ['host-listener'],
    },
    {
      title: 'a program on localhost where node ports do not answer',
      args: [web, { host: listener('127.0.0.1') }, { localhostNodePorts: false }],
      expected: [],
    },
    {
      title: 'an old kube-proxy that holds the port open',
      args: [web, { host: listener('::', { process: { pid: 1, name: 'kube-proxy' } }) }],
      expected: [],
    },
    {
      title: 'a UDP program on a TCP node port',
      args: [web, { host: listener('::', { protocol: 'UDP' }) }],
      expected: [],
    },
    {
      title: 'a port that outgoing connections may get',
      args: [web, { host: { listeners: [], ephemeral: { first: 1024, last: 60999, reserved: [] } } }],
      expected: ['ephemeral-range'],
    },
    {
      title: 'a port in their range, but reserved',
      args: [
        web,
        { host: { listeners: [], ephemeral: { first: 1024, last: 60999, reserved: [{ first: 30000, last: 32767 }] } } },
      ],
      expected: [],
    },
  ];
  for (const { title, args, expected } of cases) {
    it(`${expected.length === 0 ? 'are not' : 'are'} ${title}`, () => {
      expect(codes(...args)).to.deep.equal(expected);
    });
  }

  it('name the program and what to do', () => {
    const host = listener('0.0.0.0', { process: { pid: 42, name: 'nginx' } });
    const [problem] = table(web, { host }).nodePorts[0]?.problems ?? [];
    expect(problem?.message).to.contain('nginx (pid 42) listens on 0.0.0.0:30080/TCP');
    expect(problem?.hint).to.contain('30000');
  });
});

describe('conflicts between Services', () => {
  const refusedBackend = {
    file: 'b.yaml',
    object: 'Service shop/backend',
    message:
      'Service "backend" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated',
    causes: [
      {
        reason: 'FieldValueInvalid',
        field: 'spec.ports[0].nodePort',
        message: 'Invalid value: 30080: provided port is already allocated',
      },
    ],
  };

  it('name who holds the port and who was refused', () => {
    const found = table(web, { problems: [refusedBackend] });
    expect(found.conflicts).to.deep.equal([
      {
        nodePort: 30080,
        protocol: 'TCP',
        holder: { namespace: 'default', name: 'web' },
        refused: [{ namespace: 'shop', name: 'backend', message: refusedBackend.message, place: 'b.yaml' }],
      },
    ]);
    expect(found.nodePorts[0]?.problems.map(({ code }) => code)).to.deep.equal(['node-port-conflict']);
  });

  it('are seen inside one Service', () => {
    const [found] = table(state([], []), { problems: [refusedBackend] }).conflicts;
    expect(found?.holder).to.deep.equal({ namespace: 'shop', name: 'backend' });
  });

  it('are seen between stored Services, where the younger is not served', () => {
    const older = service(
      { type: 'NodePort', clusterIP: '10.96.0.11', ports: [port({ nodePort: 30080 })] },
      { name: 'older', creationTimestamp: '2024-01-01T00:00:00Z' },
    );
    const younger = service(
      { type: 'NodePort', ports: [port({ nodePort: 30080 })] },
      { creationTimestamp: '2025-01-01T00:00:00Z' },
    );
    const both = state(
      [younger, older],
      [slice([endpoint('10.244.0.2')]), slice([endpoint('10.244.0.3')], {}, 'older')],
    );
    const found = table(both);
    expect(found.conflicts.map(({ holder, refused }) => [holder.name, refused.map(({ name }) => name)])).to.deep.equal([
      ['older', ['web']],
    ]);
    expect(
      found.nodePorts.map(({ name, addresses, problems }) => [name, addresses.length, problems[0]?.code]),
    ).to.deep.equal([
      ['older', 2, 'node-port-conflict'],
      ['web', 0, 'node-port-conflict'],
    ]);
  });
});

describe('the text of ports', () => {
  it('fits 100 columns, whatever names people choose', () => {
    const name = 'a-service-with-a-name-as-long-as-kubernetes-allows-names-to-be';
    const long = service(
      { type: 'NodePort', ports: [port({ name: 'port-name-15-ch', nodePort: 30080, targetPort: 'target-name-15c' })] },
      { name, namespace: name },
    );
    const text = portsText(table(state([long], [])), 'text', plain);
    expect(text.split('\n').filter((line) => line.length > 100)).to.deep.equal([]);
    expect(text).to.contain('30080/TCP').and.to.contain(':port-name-15-ch').and.to.contain('no-endpoints');
  });

  it('cuts nothing off in its wide form', () => {
    const text = portsText(table(web), 'wide', plain);
    expect(text).to.contain('172.18.0.11 127.0.0.1').and.to.contain('NodePort');
  });

  it('is for people: one line a port, then addresses and what is free', () => {
    expect(portsText(table(web, { suggest: 2 }), 'text', plain)).to.equal(
      [
        'NODE PORT  SERVICE           PORT -> TARGET  POLICY   READY  ANSWERS ON',
        '30080/TCP  default/web:http  80 -> 8080      Cluster  2/2    IPv4 localhost',
        '',
        'Addresses: 172.18.0.11 127.0.0.1',
        'Free:      85 in the static band 30000-30085, 2682 in the dynamic band 30086-32767',
        'Suggested: 30000 30001',
        '',
      ].join('\n'),
    );
  });
});
