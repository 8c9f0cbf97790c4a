import { expect } from 'chai';
import fc from 'fast-check';
import { clusterIPNumbers, nodePortNumbers } from '../../src/source/allocation-ranges.ts';
import { addressNumber, cidrContains } from '../../src/source/address.ts';
import { readManifests } from '../../src/source/manifests.ts';
import type { ManifestOptions, Manifests } from '../../src/source/manifests.ts';
import type { Service } from '../../src/source/objects.ts';

const options: ManifestOptions = {
  namespace: 'default',
  serviceClusterIPRanges: ['10.96.0.0/12', 'fd00:10:96::/108'],
  nodePortRange: { first: 30_000, last: 32_767 },
};

interface Wanted {
  readonly name: string;
  readonly type?: string;
  readonly ports?: readonly object[];
  readonly [field: string]: unknown;
}

function manifest({ name, type = 'NodePort', ports = [{ port: 80 }], ...spec }: Wanted): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { type, ports, ...spec } });
}

function read(wanted: readonly Wanted[], more: Partial<ManifestOptions> = {}): Manifests {
  const text = wanted.map(manifest).join('\n---\n');
  return readManifests([{ file: 'a.yaml', text }], { ...options, ...more });
}

function nodePorts({ state }: Manifests): Record<string, (number | undefined)[]> {
  return Object.fromEntries(state.services.map((service) => [service.metadata.name, nodePortsOf(service)]));
}

function nodePortsOf({ spec }: Service): (number | undefined)[] {
  return (spec.ports ?? []).map(({ nodePort }) => nodePort);
}

describe('allocation', () => {
  const portBands: readonly (readonly [number, number, number])[] = [
    [30_000, 32_767, 86],
    [30_000, 30_015, 0],
    [30_000, 30_016, 16],
    [20_000, 30_000, 128],
  ];
  for (const [first, last, size] of portBands) {
    it(`leaves ${size} node ports of ${first}-${last} to those who ask`, () => {
      expect(Number(nodePortNumbers({ first, last }).staticSize)).to.equal(size);
    });
  }

  const addressBands: readonly (readonly [string, string, number, number])[] = [
    ['10.96.0.0/24', '10.96.0.1', 254, 16],
    ['10.96.0.0/20', '10.96.0.1', 4094, 255],
    ['10.96.0.0/16', '10.96.0.1', 65_534, 256],
    ['10.96.0.0/28', '10.96.0.1', 14, 0],
    ['10.96.0.0/32', '10.96.0.1', 0, 0],
    ['fd00:10:96::/112', 'fd00:10:96::1', 65_535, 256],
  ];
  for (const [range, first, size, staticSize] of addressBands) {
    it(`leaves ${staticSize} of the ${size} addresses of ${range} to those who ask`, () => {
      const expected = { first: addressNumber(first), size: BigInt(size), staticSize: BigInt(staticSize) };
      expect(clusterIPNumbers(range)).to.deep.equal(expected);
    });
  }

  const wanted = fc.uniqueArray(
    fc.record({
      name: fc.stringMatching(/^[a-z]{1,3}$/),
      type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer'),
      ipFamilyPolicy: fc.constantFrom('SingleStack', 'PreferDualStack'),
    }),
    { selector: ({ name }) => name, maxLength: 30 },
  );

  it('does not depend on the order of the documents', () => {
    const shuffled = wanted.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    // A small range, so that there are collisions.
    const nodePortRange = { first: 30_000, last: 30_063 };
    const byName = (left: Service, right: Service): number => (left.metadata.name < right.metadata.name ? -1 : 1);
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        const services = read(list, { nodePortRange }).state.services.toSorted(byName);
        expect(read(other, { nodePortRange }).state.services.toSorted(byName)).to.deep.equal(services);
      }),
    );
  });

  it('names whoever makes a Service move when another comes', () => {
    const nodePortRange = { first: 30_000, last: 30_063 };
    fc.assert(
      fc.property(wanted, fc.stringMatching(/^[a-z]{4}$/), (list, name) => {
        const before = nodePorts(read(list, { nodePortRange }));
        const after = read([...list, { name }], { nodePortRange });
        const moved = Object.entries(nodePorts(after)).filter(
          ([service, ports]) => service !== name && ports[0] !== before[service]?.[0],
        );
        const warned = after.warnings.map(({ object }) => object);
        for (const [service] of moved) expect(warned).to.include(`Service default/${service}`);
      }),
    );
  });

  it('gives every Service a node port and addresses of its own', () => {
    const { state, problems } = read(
      Array.from({ length: 2000 }, (_, index) => ({ name: `web-${index}`, ipFamilyPolicy: 'RequireDualStack' })),
    );
    expect(problems).to.deep.equal([]);
    expect(new Set(state.services.flatMap(nodePortsOf)).size).to.equal(2000);
    expect(new Set(state.services.flatMap(({ spec }) => spec.clusterIPs ?? [])).size).to.equal(4000);
    expect(Math.min(...state.services.flatMap((service) => nodePortsOf(service).map(Number)))).to.be.at.least(30_086);
  });

  it('turns to the static band when the dynamic one is used up, then gives up in the words of the server', () => {
    const nodePortRange = { first: 30_000, last: 30_019 };
    const list = Array.from({ length: 21 }, (_, index) => ({ name: `web-${index}` }));
    const { state, problems } = read(list, { nodePortRange });
    const ports = state.services.flatMap(nodePortsOf).map(Number);
    expect(ports.toSorted((left, right) => left - right)).to.deep.equal(
      Array.from({ length: 20 }, (_, i) => 30_000 + i),
    );
    expect(problems.map(({ message }) => message)).to.deep.equal([
      'Internal error occurred: failed to allocate a nodePort: range is full',
    ]);
  });

  it('lets those who ask go first, wherever they stand, and warns whom they move', () => {
    const [[chosen]] = Object.values(nodePorts(read([{ name: 'web' }]))) as [[number]];
    const found = read([{ name: 'web' }, { name: 'other', ports: [{ port: 80, nodePort: chosen }] }]);
    expect(found.problems).to.deep.equal([]);
    expect(nodePorts(found)).to.deep.equal({ web: [chosen + 1], other: [chosen] });
    expect(found.warnings).to.deep.equal([
      {
        object: 'Service default/web',
        field: 'spec.ports[0].nodePort',
        reason: 'AllocationMoved',
        message: `${chosen} would be chosen, but Service default/other has it; ${chosen + 1} is chosen instead. Set spec.ports[0].nodePort to pin it`,
      },
    ]);
  });

  it('refuses the later of two who ask for one port, and names the holder', () => {
    const ports = [{ port: 80, nodePort: 30_080 }];
    const { problems } = read([
      { name: 'frontend', ports },
      { name: 'backend', ports },
    ]);
    expect(problems.map(({ message, detail, line, object }) => ({ message, detail, line, object }))).to.deep.equal([
      {
        message:
          'Service "backend" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated',
        detail: 'held by Service default/frontend (a.yaml:1)',
        line: 3,
        object: 'Service default/backend',
      },
    ]);
  });

  it('tells what else is wrong with a Service whose port it refuses, each field once', () => {
    const { problems } = read([{ name: 'Web', sessionAffinity: 'Cookie', ports: [{ port: 80, nodePort: 300_081 }] }]);
    expect(
      problems.map(({ field, message }) => [field, message.replace(/: a lowercase.*'\), /, ' …, ')]),
    ).to.have.deep.members([
      [
        'spec.ports[0].nodePort',
        'Service "Web" is invalid: spec.ports[0].nodePort: Invalid value: 300081: provided port is not in the valid range. The range of valid ports is 30000-32767',
      ],
      [
        'metadata.name',
        'Service "Web" is invalid: [metadata.name: Invalid value: "Web" …, spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"]',
      ],
    ]);
  });

  it('gives back what a refused Service asked for', () => {
    const ports = [{ port: 80, nodePort: 30_080 }];
    const found = read([
      { name: 'frontend', ports, clusterIP: '10.96.0.9', sessionAffinity: 'Cookie' },
      { name: 'backend', ports, clusterIP: '10.96.0.9' },
    ]);
    expect(found.problems).to.have.length(1);
    expect(nodePorts(found)).to.deep.equal({ backend: [30_080] });
  });

  it('keeps the ports of stored Services from others', () => {
    const ports = [{ port: 80, nodePort: 30_080 }];
    const found = read([
      { name: 'new', ports },
      { name: 'stored', ports, clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'] },
    ]);
    expect(found.problems.map(({ detail }) => detail)).to.deep.equal(['held by Service default/stored (a.yaml:3)']);
  });

  it('gives ports of one number one node port, others their own', () => {
    const { dns } = nodePorts(
      read([
        {
          name: 'dns',
          ports: [
            { name: 'udp', port: 53, protocol: 'UDP' },
            { name: 'tcp', port: 53, protocol: 'TCP' },
            { name: 'tls', port: 853 },
          ],
        },
      ]),
    );
    expect(dns?.[0]).to.equal(dns?.[1]);
    expect(dns?.[2]).not.to.equal(dns?.[0]);
  });

  it('takes a node port that one of the ports of a number asks for, for all of them', () => {
    const ports = [
      { name: 'udp', port: 53, protocol: 'UDP' },
      { name: 'tcp', port: 53, protocol: 'TCP', nodePort: 30_053 },
    ];
    expect(nodePorts(read([{ name: 'dns', ports }])).dns).to.deep.equal([30_053, 30_053]);
  });

  it('refuses one number for two ports even of two protocols, as the server does', () => {
    const ports = [
      { name: 'udp', port: 53, protocol: 'UDP', nodePort: 30_053 },
      { name: 'tcp', port: 5353, protocol: 'TCP', nodePort: 30_053 },
    ];
    expect(read([{ name: 'dns', ports }]).problems[0]?.field).to.equal('spec.ports[1].nodePort');
  });

  it('chooses no node ports where none are wanted, but respects those asked for', () => {
    const ports = [
      { name: 'a', port: 80 },
      { name: 'b', port: 81, nodePort: 30_081 },
    ];
    const found = read([{ name: 'web', type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports }]);
    expect(nodePorts(found).web).to.deep.equal([undefined, 30_081]);
  });

  it('chooses a health check port from the node ports', () => {
    const local = { name: 'web', type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
    const { state } = read([local]);
    expect(state.services[0]?.spec.healthCheckNodePort).to.be.within(30_086, 32_767);
    const [refused] = read([
      { name: 'a', ports: [{ port: 80, nodePort: 32_000 }] },
      { ...local, healthCheckNodePort: 32_000 },
    ]).problems;
    expect(refused).to.include({
      message:
        'Internal error occurred: failed to allocate requested HealthCheck NodePort 32000: provided port is already allocated',
      detail: 'held by Service default/a (a.yaml:1)',
      field: 'spec.healthCheckNodePort',
      hint: 'choose another port, or leave healthCheckNodePort out and a free one is chosen',
    });
  });

  describe('of a cluster with one family', () => {
    const single = { serviceClusterIPRanges: ['fd00:10:96::/108'] };

    it('chooses from it, also for those who would prefer two', () => {
      const { state } = read([{ name: 'a' }, { name: 'b', ipFamilyPolicy: 'PreferDualStack' }], single);
      for (const { spec } of state.services) {
        expect(spec.ipFamilies).to.deep.equal(['IPv6']);
        expect(spec.clusterIPs).to.have.length(1);
        expect(cidrContains('fd00:10:96::/108', spec.clusterIP!)).to.equal(true);
      }
    });

    const refusals: readonly (readonly [Wanted, string])[] = [
      [
        { name: 'web', ipFamilyPolicy: 'RequireDualStack' },
        'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
      ],
      [
        { name: 'web', ipFamilies: ['IPv4'] },
        'spec.ipFamilies[0]: Invalid value: "IPv4": not configured on this cluster',
      ],
      [
        { name: 'web', clusterIP: '10.96.0.9' },
        'spec.clusterIPs[0]: Invalid value: ["10.96.0.9"]: IPv4 is not configured on this cluster',
      ],
    ];
    for (const [service, words] of refusals) {
      it(`refuses: ${words}`, () => {
        expect(read([service], single).problems.map(({ message }) => message)).to.deep.equal([
          `Service "web" is invalid: ${words}`,
        ]);
      });
    }
  });
});
