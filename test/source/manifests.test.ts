import { expect } from 'chai';
import fc from 'fast-check';
import { readManifests } from '../../src/source/manifests.ts';
import type { ManifestOptions, Manifests } from '../../src/source/manifests.ts';
import { formatProblem } from '../../src/source/problem.ts';

const options: ManifestOptions = {
  namespace: 'default',
  serviceClusterIPRanges: ['10.96.0.0/12', 'fd00:10:96::/108'],
  nodePortRange: { first: 30_000, last: 32_767 },
};

function read(text: string, more: Partial<ManifestOptions> = {}): Manifests {
  return readManifests([{ file: 'a.yaml', text }], { ...options, ...more });
}

/** A Service in YAML, its spec indented by two blanks. */
function service(spec: string, name = 'web'): string {
  const body = spec.replace(/^/gm, '  ');
  return `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n${body}\n`;
}

const invalidName =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const notAddress = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const typed = 'Service in version "v1" cannot be handled as a Service:';

describe('manifests', () => {
  describe('refused in the words of the API server', () => {
    const cases: readonly (readonly [string, string, string, string, number])[] = [
      [
        'a port that is text',
        service('ports:\n- port: "80"'),
        `${typed} json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32`,
        'spec.ports[0].port',
        7,
      ],
      [
        'a port with a fraction',
        service('ports:\n- port: 80.5'),
        `${typed} json: cannot unmarshal number 80.5 into Go struct field ServicePort.spec.ports.port of type int32`,
        'spec.ports[0].port',
        7,
      ],
      [
        'a port beyond all numbers',
        service('ports:\n- port: 99999999999'),
        `${typed} json: cannot unmarshal number 99999999999 into Go struct field ServicePort.spec.ports.port of type int32`,
        'spec.ports[0].port',
        7,
      ],
      [
        'ports that are no list',
        service('ports:\n  port: 80'),
        `${typed} json: cannot unmarshal object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort`,
        'spec.ports',
        6,
      ],
      [
        'a target port that is neither number nor name',
        service('ports:\n- port: 80\n  targetPort: true'),
        `${typed} json: cannot unmarshal bool into Go value of type int32`,
        'spec.ports[0].targetPort',
        8,
      ],
      [
        'a selector with a number',
        service('selector: {app: 1}\nports: [{port: 80}]'),
        `${typed} json: cannot unmarshal number into Go struct field ServiceSpec.spec.selector of type string`,
        'spec.selector.app',
        6,
      ],
      [
        'an address that is a number',
        service('ports: [{port: 80}]\nclusterIP: 167772161'),
        `${typed} json: cannot unmarshal number into Go struct field ServiceSpec.spec.clusterIP of type string`,
        'spec.clusterIP',
        7,
      ],
      [
        'fields that are not there',
        service('ports: [{port: 80, http: x}]\nfoo: 1'),
        `${typed} strict decoding error: unknown field "spec.foo", unknown field "spec.ports[0].http"`,
        'spec.foo',
        7,
      ],
      [
        'an address with leading zeros',
        service('ports: [{port: 80}]\nclusterIP: 010.96.0.9'),
        'Service "web" is invalid: spec.clusterIPs[0]: Invalid value: "010.96.0.9": must not have leading 0s',
        'spec.clusterIPs[0]',
        7,
      ],
      [
        'an address mapped into IPv6',
        service('ports: [{port: 80}]\nexternalIPs: ["::ffff:1.2.3.4"]'),
        'Service "web" is invalid: spec.externalIPs[0]: Invalid value: "::ffff:1.2.3.4": must not be an IPv4-mapped IPv6 address',
        'spec.externalIPs[0]',
        7,
      ],
      [
        'the network address of the range',
        service('ports: [{port: 80}]\nclusterIP: 10.96.0.0'),
        'Service "web" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.0"]: failed to allocate IP 10.96.0.0: the provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is 10.96.0.0/12',
        'spec.clusterIPs',
        7,
      ],
      [
        'source ranges that mean something else',
        service('type: LoadBalancer\nports: [{port: 80}]\nloadBalancerSourceRanges: [10.0.0.1/8, " 10.0.0.0/8 "]'),
        'Service "web" is invalid: spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
        'spec.LoadBalancerSourceRanges[0]',
        8,
      ],
      [
        'an ExternalName Service with an address',
        service('type: ExternalName\nexternalName: db.example.test.\nclusterIP: 10.96.0.9\nipFamilies: [IPv4]'),
        'Service "web" is invalid: [spec.clusterIPs: Forbidden: may not be set for ExternalName services, spec.ipFamilies: Forbidden: may not be set for ExternalName services]',
        'spec.clusterIPs',
        8,
      ],
      [
        'a version that is none',
        'apiVersion: v2\nkind: Service\n',
        'no matches for kind "Service" in version "v2"',
        'apiVersion',
        1,
      ],
      [
        'endpoints that no traffic may be sent to',
        'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\nendpoints:\n- addresses: [127.0.0.1]\n- addresses: [fd00::1]\n',
        'EndpointSlice.discovery.k8s.io "a" is invalid: [endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128), endpoints[1].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address]',
        'endpoints[0].addresses[0]',
        6,
      ],
      [
        'an empty subset',
        'apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets: [{}]\n',
        'Endpoints "a" is invalid: subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`',
        'subsets[0]',
        4,
      ],
      [
        'a range with bits set beyond its prefix',
        'apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: a}\nspec: {cidrs: [10.0.0.1/8]}\n',
        'ServiceCIDR.networking.k8s.io "a" is invalid: spec.cidrs[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
        'spec.cidrs[0]',
        4,
      ],
    ];
    for (const [what, text, message, field, line] of cases) {
      it(what, () => {
        const { problems, state } = read(text);
        expect(problems.map((problem) => problem.message)).to.deep.equal([message]);
        expect(problems[0]).to.include({ file: 'a.yaml', document: 1, field, line });
        expect(state.services).to.deep.equal([]);
        expect(state.slices.size).to.equal(0);
      });
    }

    for (const text of [
      '10.96.0',
      ' 10.96.0.1',
      '10.96.0.1-10.96.0.9',
      '10.96.0.1,10.96.0.2',
      'localhost',
      '10.96.0.1/24',
      'fe80::1%eth0',
    ]) {
      it(`the address ${JSON.stringify(text)}`, () => {
        const { problems } = read(service(`ports: [{port: 80}]\nclusterIP: ${JSON.stringify(text)}`));
        const message = `Service "web" is invalid: spec.clusterIPs[0]: Invalid value: ${JSON.stringify(text)}: ${notAddress}`;
        expect(problems.map((problem) => problem.message)).to.deep.equal([message]);
      });
    }

    const names: readonly (readonly [string, string])[] = [
      ['a"b', '"a\\"b"'],
      ['x\n-A INPUT -j DROP\n#', '"x\\n-A INPUT -j DROP\\n#"'],
      ['x -j ACCEPT', '"x -j ACCEPT"'],
      ['a\\', '"a\\\\"'],
      ['a\u001b[31m\0', '"a\\x1b[31m\\x00"'],
      ['__proto__', '"__proto__"'],
      ['NodePort-Service', '"NodePort-Service"'],
      ['\u0455vc', '"\u0455vc"'],
    ];
    for (const [name, quoted] of names) {
      it(`the name ${quoted}`, () => {
        const { problems } = read(service('ports: [{port: 80}]', JSON.stringify(name)));
        expect(problems.map(({ message }) => message)).to.deep.equal([
          `Service ${quoted} is invalid: metadata.name: Invalid value: ${quoted}: ${invalidName}`,
        ]);
        expect(formatProblem(problems[0]!)).not.to.match(/[^\P{Cc}\n]/u);
        expect(formatProblem(problems[0]!).split('\n')).to.have.length(3);
      });
    }
  });

  describe('with a hint', () => {
    const cases: readonly (readonly [string, string, RegExp])[] = [
      [
        'where a misplaced field belongs',
        service('type: NodePort\nports:\n- port: 80\nnodePort: 30007'),
        /nodePort is a field of spec\.ports\[\]: check its indentation/,
      ],
      [
        'what to look at when YAML cannot be read',
        service('type: NodePort\nports:\n- port: 80\n    nodePort: 30007'),
        /check the indentation: nodePort/,
      ],
      [
        'what a dash too many does',
        service('type: NodePort\nports:\n- port: 80\n- nodePort: 30007'),
        /a dash starts a new entry, and spec\.ports\[1\] gives no port/,
      ],
      ['what a misspelt field is called', service('ports: [{port: 80, nodeport: 30007}]'), /did you mean nodePort\?/],
      [
        'which ports may be chosen',
        service('type: NodePort\nports: [{port: 80, nodePort: 300081}]'),
        /leave nodePort out/,
      ],
      [
        'what hosts use for themselves',
        service('type: NodePort\nports: [{port: 80, nodePort: 40000}]'),
        /hosts use 40000/,
      ],
      ['that a template was not rendered', service('ports: [{port: 80}]', '{{ .Values.name }}'), /Helm template/],
    ];
    for (const [what, text, hint] of cases) {
      it(what, () => {
        expect(read(text).problems[0]?.hint).to.match(hint);
      });
    }

    it('refuses a number that tools read differently', () => {
      const [problem] = read(service('ports:\n- port: 010')).problems;
      expect(problem?.message).to.include('010 is ambiguous: kubectl reads it as 8 (octal), YAML 1.2 as 10');
    });
  });

  it('reports every problem of all files in their order, and keeps the rest', () => {
    const texts = [
      {
        file: 'b.yaml',
        text: `${service('ports: []', 'one')}---\n${service('ports: [{port: 80}]', 'two')}---\na: [\n`,
      },
      { file: 'a.yaml', text: `kind: Service\n---\n- 1\n---\n${service('ports: [{port: 80}]', 'two')}` },
    ];
    const { problems, state, serviceCount } = readManifests(texts, options);
    expect(problems.map(({ file, document }) => [file, document])).to.deep.equal([
      ['b.yaml', 1],
      ['b.yaml', 3],
      ['a.yaml', 1],
      ['a.yaml', 2],
      ['a.yaml', 3],
    ]);
    expect(state.services.map(({ metadata }) => metadata.name)).to.deep.equal(['two']);
    expect(serviceCount).to.equal(3);
    expect(formatProblem(problems.at(-1)!)).to.equal(
      'a.yaml:5:1: document 3, Service default/two, metadata.name:\n  services "two" already exists\n  first given in b.yaml:8 (document 2)',
    );
  });

  it('reads Lists of any kind, each member at its place', () => {
    const text = [
      'apiVersion: v1',
      'kind: ServiceList',
      'items:',
      '- metadata: {name: a, namespace: x}',
      '  spec: {ports: [{port: 80}]}',
      '- metadata: {name: b}',
      '  spec: {ports: [{port: 0}]}',
      '---',
      'apiVersion: v1',
      'kind: List',
      'items:',
      '- {apiVersion: v1, kind: Node, metadata: {name: n}}',
      '- {apiVersion: apps/v1, kind: Deployment}',
    ].join('\n');
    const { state, problems, ignored } = read(text, { namespace: 'y' });
    expect(state.services.map(({ metadata }) => metadata)).to.deep.equal([{ name: 'a', namespace: 'x' }]);
    expect(problems.map(({ line, object }) => [line, object])).to.deep.equal([[7, 'Service y/b']]);
    expect(state.node?.metadata.name).to.equal('n');
    expect([...ignored]).to.deep.equal([['Deployment', 1]]);
  });

  it('ignores kinds of the same name from elsewhere', () => {
    const { ignored, problems, serviceCount } = read(
      'apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\n',
    );
    expect([[...ignored], problems, serviceCount]).to.deep.equal([[['Service', 1]], [], 0]);
  });

  it('takes stored objects as they are', () => {
    const spec = 'clusterIP: 010.96.0.9\nclusterIPs: [010.96.0.9]\nports: [{port: 70000}]\nfuture: 1\ntype: NodePort';
    const slice =
      'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a, resourceVersion: "1", labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\nendpoints: [{addresses: [127.0.0.1]}]\n';
    const { state, problems } = read(`${service(spec)}---\n${slice}`);
    expect(problems).to.deep.equal([]);
    expect(state.services[0]?.spec).to.deep.equal({
      clusterIP: '010.96.0.9',
      clusterIPs: ['010.96.0.9'],
      ports: [{ port: 70_000 }],
      type: 'NodePort',
    });
    expect(state.slices.get('default/web')).to.have.length(1);
  });

  it('keeps what a watch with the selectors of kube-proxy would deliver', () => {
    const labelled = (label: string): string =>
      service('ports: [{port: 80}]', `${label}\n  labels: {service.kubernetes.io/${label}: x}`);
    const slice = (name: string, labels: string): string =>
      `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: ${name}, labels: {${labels}}}\naddressType: IPv4\n`;
    const { state } = read(
      [
        service('ports: [{port: 80}]'),
        labelled('service-proxy-name'),
        service('clusterIP: None', 'headless'),
        slice('a', 'kubernetes.io/service-name: web'),
        slice('b', 'kubernetes.io/service-name: web'),
        slice('c', 'kubernetes.io/service-name: headless, service.kubernetes.io/headless: ""'),
        slice('d', 'app: web'),
      ].join('---\n'),
    );
    expect(state.services.map(({ metadata }) => metadata.name)).to.deep.equal(['web']);
    expect([...state.slices].map(([key, list]) => [key, list.length])).to.deep.equal([['default/web', 2]]);
  });

  it('makes endpoints from Pods only where no slice is given', () => {
    const pod =
      'apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: web}}\nspec: {containers: [{name: c, image: i}]}\nstatus: {phase: Running, podIP: 10.244.1.11, conditions: [{type: Ready, status: "True"}]}\n';
    const slice =
      'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: given, labels: {kubernetes.io/service-name: b}}\naddressType: IPv4\n';
    const text = ['a', 'b'].map((name) => service('selector: {app: web}\nports: [{port: 80}]', name));
    const { state, problems } = read([...text, pod, slice].join('---\n'));
    expect(problems).to.deep.equal([]);
    const endpointsOf = (name: string): unknown =>
      state.slices
        .get(`default/${name}`)
        ?.flatMap(({ endpoints }) => (endpoints ?? []).map(({ addresses }) => addresses));
    expect(endpointsOf('a')).to.deep.equal([['10.244.1.11']]);
    expect(endpointsOf('b')).to.deep.equal([]);
  });

  it('fills in names and protocols of slice ports, and leaves their range to the model', () => {
    const { state } = read(
      'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\nports: [{port: 70000}]\n',
    );
    expect(state.slices.get('default/web')?.[0]?.ports).to.deep.equal([{ name: '', protocol: 'TCP', port: 70_000 }]);
  });

  it('refuses slices beyond the limits of the API', () => {
    const list = (count: number, item: (index: number) => string): string =>
      `[${Array.from({ length: count }, (_, index) => item(index)).join(', ')}]`;
    const slice = (rest: string): string =>
      `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\n${rest}\n`;
    const endpoint = (more: string): string => `{addresses: [10.0.0.1]${more}}`;
    const words = (rest: string): string[] => read(slice(rest)).problems.map(({ message }) => message);
    const refusal = 'EndpointSlice.discovery.k8s.io "a" is invalid:';
    expect(words(`endpoints: ${list(1000, () => endpoint(''))}`)).to.deep.equal([]);
    expect(words(`endpoints: ${list(1001, () => endpoint(''))}`)).to.deep.equal([
      `${refusal} endpoints: Too many: 1001: must have at most 1000 items`,
    ]);
    expect(words(`endpoints: [{addresses: ${list(101, () => '10.0.0.1')}}]`)).to.deep.equal([
      `${refusal} endpoints[0].addresses: Too many: 101: must have at most 100 items`,
    ]);
    const zones = list(9, (index) => `{name: zone-${index}}`);
    expect(words(`endpoints: [${endpoint(`, hints: {forZones: ${zones}}`)}]`)).to.deep.equal([
      `${refusal} endpoints[0].hints.forZones: Too many: 9: must have at most 8 items`,
    ]);
  });

  it('reads old slices, with a warning', () => {
    const { state, warnings } = read(
      'apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: a, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\nendpoints:\n- addresses: [10.0.0.1]\n  topology: {kubernetes.io/hostname: n, topology.kubernetes.io/zone: z}\n',
    );
    expect(state.slices.get('default/web')?.[0]?.endpoints).to.deep.equal([
      { nodeName: 'n', zone: 'z', addresses: ['10.0.0.1'] },
    ]);
    expect(warnings.map(({ object, reason }) => [object, reason])).to.deep.equal([
      ['EndpointSlice default/a', 'DeprecatedVersion'],
    ]);
  });

  it('knows our Node by name, or because there is no other', () => {
    const node = (name: string): string => `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\n`;
    const found = (text: string, nodeName?: string): string | undefined =>
      read(text, nodeName === undefined ? {} : { nodeName }).state.node?.metadata.name;
    expect(found(node('a'))).to.equal('a');
    expect(found(`${node('a')}---\n${node('b')}`)).to.equal(undefined);
    expect(found(`${node('a')}---\n${node('b')}`, 'b')).to.equal('b');
    expect(found(node('a'), 'b')).to.equal(undefined);
  });

  it('fills no terminal with what somebody wrote', () => {
    const long = 'a'.repeat(100_000);
    for (const text of [
      service('ports: [{port: 80}]', long),
      service(`clusterIP: ${long}`),
      service(`type: ${long}`),
    ]) {
      const { problems } = read(text);
      for (const line of problems.flatMap((problem) => formatProblem(problem).split('\n'))) {
        expect(line.length).to.be.lessThan(4_100);
      }
    }
  });

  it('never throws, whatever a Service holds', () => {
    const anything = fc.jsonValue({ maxDepth: 3 });
    const field = (names: readonly string[]): fc.Arbitrary<Record<string, unknown>> =>
      fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), anything, { maxKeys: 6 });
    const spec = field([
      'type',
      'clusterIP',
      'clusterIPs',
      'externalIPs',
      'selector',
      'ipFamilies',
      'healthCheckNodePort',
    ]);
    const ports = fc.array(field(['name', 'port', 'protocol', 'targetPort', 'nodePort']), { maxLength: 3 });
    fc.assert(
      fc.property(field(['name', 'labels', 'annotations', 'namespace']), spec, ports, (metadata, rest, list) => {
        const object = { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: list, ...rest } };
        const { problems, serviceCount } = read(JSON.stringify(object));
        expect(serviceCount).to.equal(1);
        for (const problem of problems) expect(formatProblem(problem)).not.to.match(/[^\P{Cc}\n]/u);
      }),
    );
  });
});
