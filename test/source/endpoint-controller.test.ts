import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { endpointSlicesFor } from '../../src/source/endpoint-controller.ts';
import type { Endpoints, Pod } from '../../src/source/endpoint-controller.ts';
import type { EndpointSlice, Node, Service } from '../../src/source/objects.ts';

const corpus = new URL('../corpus/endpoints/', import.meta.url);

describe('endpointSlicesFor', () => {
  describe('makes the slices a cluster made', () => {
    for (const name of readdirSync(corpus)) {
      it(name, () => {
        const objects = documents(`${name}/input.yaml`);
        const expected = documents(`${name}/slices.yaml`) as unknown as EndpointSlice[];
        expect(comparable(slicesOf(objects))).to.deep.equal(comparable(expected));
        expect(slicesOf(objects.toReversed())).to.deep.equal(slicesOf(objects));
      });
    }
  });

  it('gives an endpoint the zone of its node when the node is known', () => {
    const node: Node = { metadata: { name: 'node-1', labels: { 'topology.kubernetes.io/zone': 'zone-a' } } };
    const [slice] = endpointSlicesFor([service()], [pod('a'), pod('b', { nodeName: 'node-2' })], [], [node]);
    expect(slice!.endpoints!.map(({ zone }) => zone)).to.deep.equal(['zone-a', undefined]);
  });

  it('copies the labels of the Service, but no headless label to one with an address', () => {
    const labels = { team: 'x', 'service.kubernetes.io/headless': '', 'kubernetes.io/service-name': 'other' };
    const [slice] = endpointSlicesFor([service({}, { labels })], [], [], []);
    expect(slice!.metadata.labels).to.deep.equal({
      team: 'x',
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    });
  });

  it('fills slices with a hundred endpoints each, under distinct names that stay the same', () => {
    const pods = Array.from({ length: 201 }, (_, index) =>
      pod(`p${index}`, { ip: `10.1.${index >> 8}.${index & 255}` }),
    );
    const slices = endpointSlicesFor([service()], pods, [], []);
    expect(slices.map(({ endpoints }) => endpoints!.length)).to.deep.equal([100, 100, 1]);
    expect(new Set(slices.map(({ metadata }) => metadata.name)).size).to.equal(3);
    expect(endpointSlicesFor([service()], pods.toReversed(), [], [])).to.deep.equal(slices);
  });

  it('makes none for an ExternalName Service, and none from Pods of another namespace', () => {
    expect(endpointSlicesFor([service({ type: 'ExternalName' })], [pod('a')], [], [])).to.deep.equal([]);
    const [slice] = endpointSlicesFor([service({}, { namespace: 'other' })], [pod('a')], [], []);
    expect(slice!.endpoints).to.deep.equal([]);
  });

  it('finds a named port by name and protocol, also in a sidecar, not in a container that only starts up', () => {
    const ports = [{ port: 53, protocol: 'UDP', targetPort: 'dns' }];
    const dns = (containerPort: number, protocol?: string) => ({
      ports: [{ name: 'dns', containerPort, ...(protocol !== undefined && { protocol }) }],
    });
    const cases: [Pod['spec'], number[]][] = [
      [{ containers: [dns(1), dns(2, 'UDP')] }, [2]],
      [{ containers: [dns(1)] }, []],
      [{ initContainers: [{ ...dns(3, 'UDP'), restartPolicy: 'Always' }] }, [3]],
      [{ initContainers: [dns(3, 'UDP')] }, []],
      [{ containers: null }, []],
    ];
    for (const [spec, expected] of cases) {
      const [slice] = endpointSlicesFor([service({ ports })], [{ ...pod('a'), spec: spec! }], [], []);
      expect(slice!.ports!.map(({ port }) => port)).to.deep.equal(expected);
    }
  });

  it('takes the port itself where the Service names no target', () => {
    const [slice] = endpointSlicesFor([service({ ports: [{ port: 80 }] })], [pod('a')], [], []);
    expect(slice!.ports).to.deep.equal([{ name: '', protocol: 'TCP', port: 80 }]);
  });

  it('publishes a terminating Pod as ready where the Service asks for unready addresses', () => {
    const leaving = pod('a');
    const terminating = { ...leaving, metadata: { ...leaving.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    const [slice] = endpointSlicesFor([service({ publishNotReadyAddresses: true })], [terminating], [], []);
    expect(slice!.endpoints![0]!.conditions).to.deep.equal({ ready: true, serving: true, terminating: true });
  });

  it('makes slices of the families of the Service only', () => {
    const cases: [Partial<Service['spec']>, string[]][] = [
      [{ ipFamilies: ['IPv6'] }, ['IPv6']],
      [{ ipFamilies: ['IPv6', 'IPv4'] }, ['IPv6', 'IPv4']],
      [{ clusterIPs: ['fd00::1'] }, ['IPv6']],
      [{ clusterIP: 'fd00::1' }, ['IPv6']],
      [{ clusterIPs: ['fd00::1'], ipFamilyPolicy: 'PreferDualStack' }, ['IPv6', 'IPv4']],
      [{}, ['IPv4']],
    ];
    for (const [spec, expected] of cases) {
      const slices = endpointSlicesFor([service(spec)], [pod('a')], [], []);
      expect(slices.map(({ addressType }) => addressType)).to.deep.equal(expected);
    }
  });

  it('is not fooled by labels named like what every JavaScript object has', () => {
    const selector = { constructor: 'x' };
    const [slice] = endpointSlicesFor([service({ selector })], [pod('a')], [], []);
    expect(slice!.endpoints).to.deep.equal([]);
  });

  it('finds the Pods of each Service without looking at all of them', () => {
    const reads = (count: number): number => {
      let labelReads = 0;
      const pods = Array.from({ length: count }, (_, index): Pod => {
        const { metadata, ...rest } = pod(`p${index}`, {
          ip: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
        });
        const labels = { all: 'same', app: `web-${index >> 1}` };
        return {
          ...rest,
          metadata: Object.defineProperty({ ...metadata }, 'labels', { get: () => (labelReads++, labels) }),
        };
      });
      const services = Array.from({ length: count / 2 }, (_, index) =>
        service({ selector: { all: 'same', app: `web-${index}` } }, { name: `web-${index}` }),
      );
      const slices = endpointSlicesFor(services, pods, [], []);
      expect(slices.every(({ endpoints }) => endpoints!.length === 2)).to.be.true;
      return labelReads;
    };
    expect(reads(20_000) / reads(2_000)).to.be.lessThan(11);
  });

  describe('of an Endpoints object', () => {
    const mirrored = service({ selector: {} });

    it('mirrors addresses by family and set of ports, with the node and the target they name', () => {
      const targetRef = { kind: 'Pod', namespace: 'default', name: 'a' };
      const slices = endpointSlicesFor(
        [mirrored],
        [],
        [
          endpoints([
            {
              addresses: [{ ip: '192.0.2.1', nodeName: 'node-1', targetRef }, { ip: '2001:db8::1' }],
              ports: [{ port: 1 }],
            },
            { addresses: [{ ip: '192.0.2.2' }], ports: [{ port: 1 }] },
            { addresses: [{ ip: '192.0.2.3' }], ports: [{ name: 'b', port: 2, protocol: 'UDP' }] },
          ]),
        ],
        [],
      );
      expect(
        sortedByContent(slices.map(({ addressType, endpoints: list, ports }) => ({ addressType, list, ports }))),
      ).to.deep.equal(
        sortedByContent([
          {
            addressType: 'IPv4',
            list: [
              { addresses: ['192.0.2.1'], conditions: { ready: true }, nodeName: 'node-1', targetRef },
              { addresses: ['192.0.2.2'], conditions: { ready: true } },
            ],
            ports: [{ name: '', protocol: 'TCP', port: 1 }],
          },
          {
            addressType: 'IPv6',
            list: [{ addresses: ['2001:db8::1'], conditions: { ready: true } }],
            ports: [{ name: '', protocol: 'TCP', port: 1 }],
          },
          {
            addressType: 'IPv4',
            list: [{ addresses: ['192.0.2.3'], conditions: { ready: true } }],
            ports: [{ name: 'b', protocol: 'UDP', port: 2 }],
          },
        ]),
      );
    });

    it('mirrors at most a thousand addresses of a subset, the ready ones first', () => {
      const many = (octet: number) =>
        Array.from({ length: 700 }, (_, index) => ({ ip: `10.${octet}.${index >> 8}.${index & 255}` }));
      const slices = endpointSlicesFor(
        [mirrored],
        [],
        [endpoints([{ addresses: many(1), notReadyAddresses: many(2), ports: [{ port: 1 }] }])],
        [],
      );
      expect(slices).to.have.lengthOf(1);
      const ready = slices[0]!.endpoints!.map(({ conditions }) => conditions!.ready);
      expect([ready.length, ready.filter(Boolean).length]).to.deep.equal([1000, 700]);
    });

    it('lists an address once, as it was listed last', () => {
      const [slice] = endpointSlicesFor(
        [mirrored],
        [],
        [
          endpoints([
            { addresses: [{ ip: '192.0.2.1' }], notReadyAddresses: [{ ip: '192.0.2.1' }], ports: [{ port: 1 }] },
          ]),
        ],
        [],
      );
      expect(slice!.endpoints).to.deep.equal([{ addresses: ['192.0.2.1'], conditions: { ready: false } }]);
    });

    it('makes none where nothing is to be mirrored', () => {
      const full = [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 1 }] }];
      const cases: [Service, Endpoints][] = [
        [mirrored, endpoints(full, { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } })],
        [mirrored, endpoints(full, { annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } })],
        [mirrored, endpoints(full, { name: 'other' })],
        [mirrored, endpoints(full, { namespace: 'other' })],
        [mirrored, endpoints([])],
        [mirrored, endpoints([{ addresses: [{ ip: 'no address' }], ports: null }])],
        [service({ selector: {}, type: 'ExternalName' }), endpoints(full)],
      ];
      for (const [object, source] of cases) expect(endpointSlicesFor([object], [], [source], [])).to.deep.equal([]);
    });

    it('is ignored where the Service has a selector', () => {
      const source = endpoints([{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 1 }] }]);
      const [slice] = endpointSlicesFor([service()], [], [source], []);
      expect(slice!.endpoints).to.deep.equal([]);
    });
  });
});

interface Document {
  kind?: string;
  metadata: { name: string; namespace?: string };
}

function documents(path: string): Document[] {
  return parseAllDocuments(readFileSync(new URL(path, corpus), 'utf8')).map((document) => document.toJS() as Document);
}

function slicesOf(objects: readonly Document[]): EndpointSlice[] {
  const ofKind = <T>(kind: string): T[] =>
    objects
      .filter((object) => object.kind === kind)
      .map((object) => ({ ...object, metadata: { namespace: 'default', ...object.metadata } }) as T);
  return endpointSlicesFor(
    ofKind<Service>('Service'),
    ofKind<Pod>('Pod'),
    ofKind<Endpoints>('Endpoints'),
    ofKind<Node>('Node'),
  );
}

/** Without what is random (names) or unknown (zones), in one order. */
function comparable(slices: readonly EndpointSlice[]): unknown[] {
  return sortedByContent(
    slices.map(({ metadata, addressType, endpoints: list, ports }) => ({
      namespace: metadata.namespace,
      labels: metadata.labels,
      addressType,
      endpoints: (list ?? []).map((endpoint) => ({ ...endpoint, zone: undefined })),
      ports: ports ?? [],
    })),
  );
}

function sortedByContent<T>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
}

function service(spec: Service['spec'] = {}, metadata: Partial<Service['metadata']> = {}): Service {
  return {
    metadata: { name: 'web', namespace: 'default', ...metadata },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  };
}

function pod(name: string, { ip = '10.244.1.11', nodeName = 'node-1' } = {}): Pod {
  return {
    metadata: { name, namespace: 'default', labels: { app: 'web' } },
    spec: { nodeName, containers: [] },
    status: {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }, { ip: 'fd00::11' }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

function endpoints(subsets: Endpoints['subsets'] & object, metadata: Partial<Endpoints['metadata']> = {}): Endpoints {
  return { metadata: { name: 'web', namespace: 'default', ...metadata }, subsets };
}
