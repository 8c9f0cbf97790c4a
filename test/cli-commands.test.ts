import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { buildCli, goldenNode as node, manifest, textFile } from './support/cli.ts';
import type { Cli, Surroundings } from './support/cli.ts';
import { goldenCases, goldenDirectory } from './support/golden.ts';
import type { Output } from './support/namespace.ts';

const manifests = (name: string) => join(goldenDirectory, name, 'manifests.yaml');
const web = manifests('example-nodeport');

describe('the commands of the portwright program', function () {
  this.timeout(120_000);
  let cli: Cli;

  before(() => {
    cli = buildCli();
  });
  after(() => {
    cli.remove();
  });

  const run = (args: readonly string[], how?: Surroundings) => cli.run(args, how);
  const file = (name: string, text: string) => textFile(cli.directory, name, text);
  const json = async (args: readonly string[], expected = 0): Promise<Record<string, unknown>> => {
    const { exitCode, stdout, stderr } = await run([...args, '-o', 'json']);
    expect(exitCode, stderr).to.equal(expected);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const data = (answer: Output) => ({ exitCode: answer.exitCode, stdout: answer.stdout });

  describe('render', () => {
    const suffixes = { IPv4: 'v4', IPv6: 'v6' } as const;
    for (const name of goldenCases().filter((one) => existsSync(join(goldenDirectory, one, 'iptables-v4.rules')))) {
      it(`prints the golden of ${name}, in both modes`, async () => {
        const path = join(goldenDirectory, name, 'options.yaml');
        const own = existsSync(path) ? (load(readFileSync(path, 'utf8')) as string[]) : [];
        for (const [mode, ending] of [
          ['iptables', 'rules'],
          ['nftables', 'nft'],
        ] as const) {
          for (const family of ['IPv4', 'IPv6'] as const) {
            const golden = join(goldenDirectory, name, `${mode}-${suffixes[family]}.${ending}`);
            const args = ['render', '-f', manifests(name), ...node, `--proxy-mode=${mode}`, `--ip-family=${family}`];
            const answer = await run([...args, ...own]);
            expect(data(answer), answer.stderr).to.deep.equal({ exitCode: 0, stdout: readFileSync(golden, 'utf8') });
          }
        }
      });
    }

    for (const name of goldenCases().filter(
      (one) => !one.startsWith('transitions/') && !existsSync(join(goldenDirectory, one, 'iptables-v4.rules')),
    )) {
      it(`refuses ${name} in the words that are recorded, and prints nothing`, async () => {
        const { exitCode, stdout, stderr } = await run(['render', '-f', 'manifests.yaml', ...node], {
          cwd: join(goldenDirectory, name),
        });
        expect([exitCode, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.equal(readFileSync(join(goldenDirectory, name, 'said.txt'), 'utf8'));
      });
    }

    it('prints both families one after the other, each under its tool, and the same as JSON', async () => {
      const { stdout } = await run(['render', '-f', web, ...node]);
      expect(stdout.match(/^# .*restore.*$/gm)).to.deep.equal([
        '# iptables-restore --noflush',
        '# ip6tables-restore --noflush',
      ]);
      const { rulesets, warnings } = await json(['render', '-f', web, ...node]);
      const sets = rulesets as { family: string; tool: string; text: string }[];
      expect(sets.map(({ family, tool }) => [family, tool])).to.deep.equal([
        ['IPv4', 'iptables-restore --noflush'],
        ['IPv6', 'ip6tables-restore --noflush'],
      ]);
      expect(sets.map(({ tool, text }) => `# ${tool}\n${text}`).join('')).to.equal(stdout);
      expect(warnings).to.deep.equal([]);
    });

    it('prints what JSON says as YAML', async () => {
      const { stdout } = await run(['render', '-f', web, ...node, '-o', 'yaml']);
      expect(load(stdout)).to.deep.equal(await json(['render', '-f', web, ...node]));
    });

    it('takes standard input, several files, and lists, all alike', async () => {
      const text = readFileSync(web, 'utf8');
      const expected = await run(['render', '-f', web]);
      expect(await run(['render', '-f', '-'], { stdin: text })).to.deep.equal(expected);
      const [first = '', ...rest] = text.split(/^---$/m);
      const parts = [file('parts/one.yaml', first), file('parts/two.yaml', rest.join('---'))];
      expect(await run(['render', ...parts.flatMap((path) => ['-f', path])])).to.deep.equal(expected);
      const items = [first, ...rest].map((one) => load(one));
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
      expect(await run(['render', '-f', '-'], { stdin: list })).to.deep.equal(expected);
    });

    it('takes of a directory its manifests, and those below with -R', async () => {
      for (const [index, name] of [
        'b.yaml',
        'a.yml',
        'c.json',
        '.hidden.yaml',
        'd.yaml~',
        '#e.yaml#',
        'f.yaml.bak',
        'g.txt',
        'sub/h.yaml',
      ].entries()) {
        const text = manifest(`s${index}`, 30_080 + index);
        file(`tree/${name}`, name.endsWith('.json') ? JSON.stringify(load(text)) : text);
      }
      const namesIn = async (args: readonly string[]) => {
        const { nodePorts } = await json(['ports', ...args]);
        return (nodePorts as { name: string }[]).map(({ name }) => name);
      };
      const tree = join(cli.directory, 'tree');
      expect(await namesIn(['-f', tree])).to.deep.equal(['s0', 's1', 's2']);
      expect(await namesIn(['-f', tree, '-R'])).to.deep.equal(['s0', 's1', 's2', 's8']);
      expect(await namesIn(['-R', '-f', tree])).to.deep.equal(['s0', 's1', 's2', 's8']);
    });

    it('puts what names no namespace where -n says', async () => {
      const { stdout } = await run(['render', '-f', '-', '-n', 'shop'], { stdin: manifest('web', 30_080) });
      expect(stdout).to.include('shop/web').and.to.not.include('default/web');
    });

    it('refuses input without a Service unless that is meant', async () => {
      const { exitCode, stdout, stderr } = await run(['render', '-f', '-']);
      expect([exitCode, stdout]).to.deep.equal([2, '']);
      expect(stderr).to.include('--allow-empty');
      const empty = await run(['render', '-f', '-', '--allow-empty', '--ip-family', 'IPv4']);
      expect(empty.exitCode).to.equal(0);
      expect(empty.stdout).to.include('*nat');
    });

    it('tells of a directory without manifests, and where it did not look', async () => {
      const path = file('outer/inner/web.yaml', manifest('web', 30_080)).replace('/inner/web.yaml', '');
      const { exitCode, stderr } = await run(['render', '-f', path]);
      expect(`${exitCode} ${stderr}`).to.match(/^2 .*\/outer: no file \*\.yaml.* -R looks into the folders inside too/);
      expect((await run(['render', '-f', path, '-R'])).exitCode).to.equal(0);
    });

    it('says when this node is none of the Nodes that are given', async () => {
      const node = (name: string) => `---\napiVersion: v1\nkind: Node\nmetadata: { name: ${name} }\n`;
      const stdin = manifest('web', 30_080) + node('node-1') + node('node-2');
      const said = async (name: string) =>
        (await run(['render', '-f', '-', '--hostname-override', name], { stdin })).stderr;
      expect(await said('node-3')).to.equal(
        'note: there is no Node node-3 among those given (node-1, node-2); --hostname-override NAME chooses one\n',
      );
      expect(await said('node-2')).to.equal('');
    });

    it('counts other kinds on stderr', async () => {
      const deployment = '---\napiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\n';
      const { exitCode, stderr } = await run(['render', '-f', '-'], { stdin: manifest('web', 30_080) + deployment });
      expect([exitCode, stderr]).to.deep.equal([0, 'note: 1 object of kind Deployment ignored\n']);
    });

    it('names all problems at once, each with its place, and with --keep-going does the rest', async () => {
      const stdin = [
        manifest('a', 30_080),
        manifest('b', 30_080),
        manifest('c', 80),
        'kind: [\n',
        manifest('d', 30_081),
      ].join('---\n');
      const refusal = await run(['render', '-f', '-'], { stdin });
      expect([refusal.exitCode, refusal.stdout]).to.deep.equal([2, '']);
      expect(refusal.stderr.match(/^-:\d+/gm)).to.have.length(3);
      expect(refusal.stderr).to.include('30080: provided port is already allocated\n  held by Service default/a');
      expect(refusal.stderr).to.include('The range of valid ports is 30000-32767');
      const kept = await run(['render', '-f', '-', '--keep-going', '--ip-family', 'IPv4'], { stdin });
      expect(kept.exitCode).to.equal(2);
      expect(kept.stdout)
        .to.include('default/a')
        .and.to.include('default/d')
        .and.to.not.match(/default\/[bc]/);
      expect(kept.stderr).to.equal(refusal.stderr);
    });

    it('says a warning once, on stderr', async () => {
      const path = file(
        'kube-proxy.conf',
        'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n',
      );
      const { exitCode, stdout, stderr } = await run(['render', '-f', web, '--config', path, '--masquerade-all']);
      expect(exitCode).to.equal(0);
      expect(stdout).to.include('table ip kube-proxy');
      expect(stderr).to.match(/^warning: .*masquerade-all.*\n$/);
    });
  });

  describe('diff', () => {
    const rules = (name: string, ending: string) => join(goldenDirectory, name, ending);

    it('finds nothing between a state and its own listing, in both modes, by both names of the option', async () => {
      for (const option of ['--live', '--ruleset']) {
        const v4 = [option, rules('example-nodeport', 'iptables-v4.rules'), '--ip-family', 'IPv4'];
        expect(await run(['diff', '-f', web, ...node, ...v4])).to.deep.equal({ exitCode: 0, stdout: '', stderr: '' });
        const nft = [option, rules('example-nodeport', 'nftables-v4.nft'), '--proxy-mode', 'nftables'];
        expect(await run(['diff', '-f', web, ...node, ...nft])).to.deep.equal({ exitCode: 0, stdout: '', stderr: '' });
      }
    });

    it('reads the listing from standard input', async () => {
      const listing = { stdin: readFileSync(rules('example-nodeport', 'iptables-v4.rules'), 'utf8') };
      const args = ['diff', '-f', web, ...node, '--ip-family', 'IPv4'];
      for (const option of ['--live', '--ruleset']) {
        expect(await run([...args, option, '-'], listing)).to.deep.equal({ exitCode: 0, stdout: '', stderr: '' });
      }
      const explained = await run(['explain', ...node, '--ruleset', '-', '--to', '172.18.0.11:30007'], listing);
      expect(explained.stdout).to.include('delivered to an endpoint');
    });

    it('shows what differs by Service, exits 1, and tells the same as JSON', async () => {
      const args = [
        'diff',
        '-f',
        web,
        ...node,
        '--live',
        rules('demo-service', 'iptables-v4.rules'),
        '--ip-family',
        'IPv4',
      ];
      const { exitCode, stdout, stderr } = await run(args);
      expect([exitCode, stderr]).to.match(/^1,.*would change\n$/);
      expect(stdout)
        .to.match(/^IPv4$/m)
        .and.to.match(/^ {2}Service default\/example-nodeport {2}80\/TCP$/m);
      const { differs, families, warnings } = await json(args, 1);
      expect([differs, warnings]).to.deep.equal([true, []]);
      const [family] = families as { family: string; services: object[]; shared: object[]; leftovers: string[] }[];
      expect(family).to.have.keys('family', 'services', 'shared', 'leftovers');
      const [service] = (family?.services ?? []).filter((one) => 'name' in one && one.name === 'example-nodeport');
      expect(service).to.include({ namespace: 'default' }).and.to.have.deep.property('ports', ['80/TCP']);
      for (const change of (service as unknown as { changes: object[] }).changes) {
        expect(change).to.have.keys('object', 'kind', 'before', 'after');
      }
    });

    it('wants to know the family of an iptables listing, and finds those of an nft listing', async () => {
      const unknown = await run(['diff', '-f', web, ...node, '--live', rules('example-nodeport', 'iptables-v4.rules')]);
      expect([unknown.exitCode, unknown.stdout]).to.deep.equal([2, '']);
      expect(unknown.stderr).to.include('--ip-family IPv4 or IPv6');
      const both = file(
        'both.nft',
        ['nftables-v4.nft', 'nftables-v6.nft'].map((one) => readFileSync(rules('dual-stack', one), 'utf8')).join(''),
      );
      const nft = ['diff', '-f', manifests('dual-stack'), ...node, '--proxy-mode', 'nftables', '--live'];
      for (const [path, expected] of [
        [both, ['IPv4', 'IPv6']],
        [rules('dual-stack', 'nftables-v6.nft'), ['IPv6']],
      ] as const) {
        const { differs, families } = await json([...nft, path]);
        expect([differs, (families as { family: string }[]).map(({ family }) => family)]).to.deep.equal([
          false,
          expected,
        ]);
      }
    });

    it('takes a listing without a table of ours for one in which all is missing', async () => {
      const foreign = file('foreign.nft', 'table inet filter {\n\tchain input {\n\t}\n}\n');
      const { differs, families } = await json(
        ['diff', '-f', web, ...node, '--proxy-mode', 'nftables', '--live', foreign],
        1,
      );
      expect([differs, families]).to.have.nested.property('1.length', 2);
    });
  });

  describe('explain, ports and verify', () => {
    it('explain: exits 0 where every client arrives, 1 where not, and tells it as JSON', async () => {
      const args = ['explain', '-f', web, ...node, '--to', 'node:30007'];
      const { clients } = await json(args);
      const [first] = clients as Record<string, unknown>[];
      expect(first).to.include({ verdict: 'endpoint', affinity: false, uncertain: false, from: 'pod' });
      expect(first).to.include.keys('endpoints', 'service', 'left_out', 'steps', 'source');
      const single = await json([...args, '--from', '192.0.2.7']);
      expect(single['endpoints']).to.have.length(3);
      expect((single['steps'] as object[])[0]).to.include.keys('family', 'table', 'chain', 'rule', 'why');
      const refused = ['explain', '-f', manifests('node-port-without-endpoints'), ...node, '--to'];
      const { nodePorts } = await json(['ports', '-f', manifests('node-port-without-endpoints')]);
      const [port] = nodePorts as { nodePort: number }[];
      expect((await run([...refused, `node:${port?.nodePort ?? 0}`])).exitCode).to.equal(1);
      expect((await run([...args.slice(0, -1), 'node:30999'])).exitCode).to.equal(1);
    });

    it('explain: reads a listing without any state', async () => {
      const listing = join(goldenDirectory, 'example-nodeport', 'iptables-v4.rules');
      const words = [
        'explain',
        '--ruleset',
        listing,
        '--node-addresses',
        '172.18.0.11',
        '--to',
        '172.18.0.11:30007',
        '--from',
        '192.0.2.7',
      ];
      expect((await json(words))['verdict']).to.equal('endpoint');
    });

    it('explain: says what it does not know where nothing tells which pods are here', async () => {
      const words = (name: string) => [
        ...['explain', '--ruleset', join(goldenDirectory, 'example-nodeport', name), '--node-addresses', '172.18.0.11'],
        ...['--to', '172.18.0.11:30007', '--from'],
      ];
      for (const name of ['iptables-v4.rules', 'nftables-v4.nft']) {
        for (const [from, source, seen] of [
          ['172.18.0.11', 'kept', 'sees 172.18.0.11, unless it is a pod of this node: '],
          ['192.0.2.7', 'snat', 'sees 172.18.0.11 or another address of this node instead of 192.0.2.7: '],
        ] as const) {
          const { endpoints } = await json([...words(name), from]);
          for (const one of endpoints as object[]) expect(one).to.include({ source, sourceAssumed: true });
          expect((await run([...words(name), from])).stdout).to.include(seen);
        }
      }
      // Its manifests name the node of each pod.
      const { endpoints } = await json(['explain', '-f', web, ...node, '--to', 'node:30007', '--from', '172.18.0.11']);
      expect((endpoints as { source: string }[]).map(({ source }) => source)).to.deep.equal(['snat', 'snat', 'kept']);
      for (const one of endpoints as object[]) expect(one).to.not.have.property('sourceAssumed');
    });

    it('ports: exits 1 when two want one port', async () => {
      const { nodePorts, free, conflicts } = await json(
        ['ports', '-f', manifests('port-conflict'), '--suggest', '2'],
        1,
      );
      expect((nodePorts as object[])[0]).to.include.keys(
        'nodePort',
        'protocol',
        'namespace',
        'name',
        'port',
        'targetPort',
        'type',
        'externalTrafficPolicy',
        'endpoints',
        'addresses',
        'problems',
      );
      expect(free).to.have.keys('static', 'dynamic');
      expect((conflicts as object[])[0]).to.deep.include({
        nodePort: 30_080,
        protocol: 'TCP',
        holder: { namespace: 'default', name: 'frontend-service' },
      });
    });

    it('verify: exits 0 where both modes agree', async () => {
      const { equal, packets, differences } = await json(['verify', '-f', web, ...node]);
      expect(equal).to.equal(true);
      for (const one of differences as object[]) expect(one).to.have.property('intended', true);
      expect(packets).to.be.above(10);
    });

    it('report: prints a page', async () => {
      const { exitCode, stdout } = await run(['report', '-f', web, ...node]);
      expect(exitCode).to.equal(0);
      expect(stdout).to.match(/^<!doctype html>[^]*<\/html>\s*$/);
    });
  });
});
