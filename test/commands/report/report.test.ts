import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { CommandOptions } from '../../../src/commands/command.ts';
import type { Report } from '../../../src/commands/report/data.ts';
import { reportPage } from '../../../src/commands/report/page.ts';
import { report } from '../../../src/commands/report/report.ts';
import { rejection } from '../../kernel/lab.ts';
import { recordedEffects } from '../../support/recorded-effects.ts';

const node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node-1' },
  spec: { podCIDR: '10.244.1.0/24' },
  status: { addresses: [{ type: 'InternalIP', address: '172.18.0.11' }] },
};

function service(name: string, nodePort: number, rest: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop' },
    spec: { type: 'NodePort', ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort }], ...rest },
  };
}

function slice(name: string, endpoints: readonly object[]) {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
  };
}

const endpoint = {
  addresses: ['10.244.1.9'],
  nodeName: 'node-1',
  conditions: { ready: true },
  targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-a' },
};
const lame = { addresses: ['10.244.2.9'], nodeName: 'node-2', conditions: { ready: false } };

const defaults: CommandOptions = {
  filenames: ['-'],
  recursive: false,
  allowEmpty: false,
  keepGoing: false,
  dryRun: false,
  output: 'text',
  flags: { ipFamily: 'IPv4' },
  own: {},
  words: [],
};

async function run(objects: readonly object[], overrides: Partial<CommandOptions> = {}) {
  const { effects, printed, said } = recordedEffects(
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
  );
  const exitCode = await report({ ...defaults, ...overrides }, effects);
  return { exitCode, page: printed.join(''), said };
}

describe('portwright report', () => {
  let page = '';

  before(async () => {
    const local = { externalTrafficPolicy: 'Local' };
    ({ page } = await run([
      node,
      service('web', 30080, local),
      slice('web', [endpoint, lame]),
      service('empty', 30081),
    ]));
  });

  it('needs nothing from outside: no address, no file, no image', () => {
    const attributes = [...page.matchAll(/\s(?:src|href|action|data|poster|srcset)\s*=\s*"([^"]*)"/g)];
    expect(attributes).to.have.length.above(2);
    for (const [, target] of attributes) expect(target).to.match(/^#/);
    expect(page).to.not.match(/https?:|@import|url\(|<link|<iframe|<object/i);
  });

  it('allows its own style and script and nothing else, by their hashes', () => {
    const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(page)?.[1]?.replaceAll('&#39;', "'");
    const hashOf = (element: string) => {
      const text = new RegExp(`<${element}>([^]*?)</${element}>`).exec(page)?.[1] ?? '';
      return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    };
    expect(policy?.split('; ')).to.deep.equal([
      "default-src 'none'",
      `style-src ${hashOf('style')}`,
      `script-src ${hashOf('script')}`,
      "base-uri 'none'",
      "form-action 'none'",
    ]);
    // Such a policy refuses these, so they must not be there.
    expect(page).to.not.match(/<[^>]+\s(?:style|on\w+)=/);
  });

  it('closes every element that it opens, in order', () => {
    expect(unclosed(page)).to.deep.equal([]);
  });

  it('tells of ports, endpoints, ways and what is wrong', () => {
    const text = textOf(page);
    expect(text).to.include('Node node-1').and.to.include('iptables mode, IPv4, desired rules');
    expect(text).to.include('30080 /TCP').and.to.include('80 → 8080');
    expect(text).to.match(/10\.244\.1\.9:8080 shop\/web-a node-1 here ready/);
    expect(text).to.match(/10\.244\.2\.9:8080 – node-2 not ready/);
    expect(text).to.include('node port 172.18.0.11:30080 pod: delivered this node: delivered outside: delivered');
    expect(text).to.include('left out: 10.244.2.9:8080 , its pod is not ready');
    expect(text).to.include('nat KUBE-NODEPORTS');
    expect(text).to.include('Service shop/empty, node port 30081/TCP there is no endpoint: connections are refused');
    expect(text).to.include('The node itself was not looked at');
  });

  it('leaves out rules that had nothing for a packet', () => {
    const text = textOf(page);
    expect(text).to.include('postrouting').and.to.not.include(': nothing');
  });

  it('shows of very many Services the rules that stop packets, and stays small', async () => {
    const names = Array.from({ length: 201 }, (_, index) => `web-${index}`);
    const served = names.flatMap((name, index) => [service(name, 30_100 + index), slice(name, [endpoint])]);
    const { page: large } = await run([node, service('empty', 30_081), ...served]);
    const text = textOf(large);
    expect(text).to.include('rules on the way are shown where a packet does not arrive');
    expect(text).to.include('KUBE-EXTERNAL-SERVICES').and.to.not.include('DNAT');
    expect(large.length / names.length).to.be.below(8_000);
  });

  const searches: readonly (readonly [string, readonly string[]])[] = [
    ['web', ['shop/web']],
    ['30081', ['shop/empty']],
    ['shop 30080', ['shop/web']],
    ['10.244.2.9', ['shop/web']],
    ['web-a', ['shop/web']],
    ['nothing-like-it', []],
  ];
  for (const [words, expected] of searches) {
    it(`lets a search for "${words}" find ${expected.join(', ') || 'nothing'}`, () => {
      const services = [...page.matchAll(/class="card service"\s+id="service\/([^"]+)"\s+data-find="([^"]*)"/g)];
      expect(services).to.have.length(2);
      const found = services.filter(([, , text = '']) => words.split(' ').every((word) => text.includes(word)));
      expect(found.map(([, id]) => id)).to.deep.equal(expected);
    });
  }

  it('has every part that links and labels name', () => {
    const ids = new Set([...page.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id));
    const named = [
      ...page.matchAll(/\s(?:href="#|for="|aria-labelledby="|aria-controls="|aria-describedby=")([^"]+)"/g),
    ];
    expect(named).to.have.length.above(8);
    for (const [, id] of named) expect(ids).to.include(id);
  });

  it('shows text that looks like markup as text, wherever it comes from', () => {
    const attack = `</style><script>alert(1)</script><img src=x onerror="alert('2')">&`;
    const hostile = reportPage(hostileReport(attack));
    expect(hostile)
      .to.include('&lt;script&gt;alert(1)')
      .and.to.include('onerror=&quot;alert(&#39;2&#39;)&quot;&gt;&amp;');
    expect(hostile.match(/<script|<img/g)).to.deep.equal(['<script']);
    expect(unclosed(hostile)).to.deep.equal([]);
    // Each text that we gave is there, and none is left out by being taken for markup.
    expect(hostile.split('&lt;img src=x').length - 1).to.be.at.least(20);
  });

  it('shows characters that turn the direction of writing by their numbers', () => {
    const hostile = reportPage(hostileReport('node\u202e1\u0007'));
    expect(hostile).to.include('node\\u{202e}1\\u{7}').and.to.not.include('\u202e').and.to.not.include('\u0007');
  });

  it('shows a refused claim of a node port as a problem, and exits 0', async () => {
    const { exitCode, page: conflict } = await run([node, service('web', 30080), service('other', 30080)]);
    expect(exitCode).to.equal(0);
    expect(textOf(conflict)).to.match(/Service "other" is invalid: .*provided port is already allocated/);
  });

  it('refuses other mistakes, and with --keep-going tells of them and exits 2', async () => {
    const objects = [node, service('web', 30080), service('bad', 99999)];
    expect(await rejection(run(objects))).to.have.property('name', 'InputError');
    const { exitCode, page: kept, said } = await run(objects, { keepGoing: true });
    expect(exitCode).to.equal(2);
    expect(said.join('\n')).to.include('Service "bad" is invalid');
    expect(textOf(kept)).to.include('Service "bad" is invalid');
  });

  it('cuts what grows with the endpoints of a Service', async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        ...endpoint,
        addresses: [`10.244.${index >> 8}.${index & 255}`],
      }));
    const sizeWith = async (count: number) =>
      (await run([node, service('web', 30080), slice('web', many(count))])).page.length;
    expect(await sizeWith(900)).to.be.below(2 * (await sizeWith(60)));
  });
});

/** A report in which everything that anybody may choose is the same text. */
function hostileReport(text: string): Report {
  const concern = { level: 'problem', about: text, what: text, means: text, do: text, show: text } as const;
  const own = { namespace: text, name: text };
  const port = { ...own, nodePort: 30080, protocol: 'TCP', port: 80, targetPort: text, portName: text } as const;
  const change = { object: text, kind: 'change', before: [text], after: [`${text} `] } as const;
  return {
    nodeName: text,
    mode: 'iptables',
    families: ['IPv4'],
    rules: 'live',
    time: text,
    table: {
      nodePorts: [
        {
          ...port,
          type: text,
          externalTrafficPolicy: 'Local',
          endpoints: { ready: 0, local: 0, total: 1 },
          addresses: [text],
          problems: [{ code: 'host-listener', message: text, hint: text }],
        },
      ],
      healthCheckNodePorts: [{ ...own, nodePort: 30081, problems: [] }],
      free: { static: 1, dynamic: 1 },
      bands: { static: undefined, dynamic: { first: 1, last: 2 } },
      conflicts: [],
      suggested: [],
    },
    services: [{ ...own, type: text, ports: [], endpoints: { ready: 0, total: 0 }, concerns: [concern] }],
    concerns: [concern],
    findings: [{ code: text, level: 'ok', what: text, means: text, do: text }],
    differences: [
      {
        family: 'IPv4',
        services: [{ ...own, ports: [text], changes: [change] }],
        shared: [change],
        leftovers: [text],
      },
    ],
    unseen: [text],
  };
}

const voidElements = new Set(['meta', 'input', 'rect', '!doctype']);

/** The elements that are open at the end, and a word for each that is closed wrongly. */
function unclosed(page: string): readonly string[] {
  const markup = page.replace(/<(style|script)>[^]*?<\/\1>/g, '');
  const open: string[] = [];
  for (const [, slash, name = ''] of markup.matchAll(/<(\/?)([a-z!][a-z0-9]*)\b[^>]*>/gi)) {
    if (voidElements.has(name.toLowerCase())) continue;
    if (slash === '') open.push(name);
    else if (open.pop() !== name) return [`</${name}> closes something else`];
  }
  return open;
}

/** What a person reads, spaces joined. */
function textOf(page: string): string {
  return page
    .replace(/<(style|script)>[^]*?<\/\1>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replace(/\s+/g, ' ');
}
