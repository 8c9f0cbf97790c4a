import { expect } from 'chai';
import { answersTo } from '../../../src/commands/explain/answer.ts';
import type { Answer, ExplainInput, Question } from '../../../src/commands/explain/answer.ts';
import { answerData } from '../../../src/commands/explain/data.ts';
import { desiredPrograms, dumpPrograms } from '../../../src/commands/explain/programs.ts';
import { UsageError } from '../../../src/commands/failure.ts';
import { corpusFile } from '../../support/corpus.ts';
import { recordedModels, recordedSurroundings } from '../recorded.ts';

async function input(name: string, mode: 'iptables' | 'nftables' = 'iptables'): Promise<ExplainInput> {
  const models = await recordedModels(name, mode);
  return { programs: desiredPrograms(mode, models), ...recordedSurroundings(models) };
}

async function ask(name: string, question: Question): Promise<readonly Answer[]> {
  return answersTo(question, await input(name));
}

function to({ destination }: Answer): string {
  return `${destination.address.text} ${destination.port} ${destination.protocol}`;
}

describe('questions to explain', () => {
  const targets: readonly [name: string, target: string, means: string][] = [
    ['nodeport', 'web:http', '10.96.0.10 80 tcp'],
    ['nodeport', 'web', '10.96.0.10 80 tcp'],
    ['nodeport', 'default/web:80', '10.96.0.10 80 tcp'],
    ['nodeport', 'node:30100', '172.18.0.11 30100 tcp'],
    ['ipv6-only', 'node:30100', 'fd00:18::11 30100 tcp'],
  ];
  for (const [name, target, means] of targets) {
    it(`${target} means ${means} in ${name}`, async () => {
      expect((await ask(name, { to: target })).map(to)).to.deep.equal([means, means, means]);
    });
  }

  it('takes the family of the client', async () => {
    const [answer] = await ask('dual-stack', { to: 'web', from: 'fd00:18::100' });
    expect(answer?.destination.address.isV6).to.be.true;
  });

  const refused: readonly [name: string, question: Question, message: RegExp][] = [
    ['nodeport', { to: 'shop:80' }, /no Service default\/shop/],
    ['nodeport', { to: '30100' }, /no Service default\/30100 .*; a node port is node:30100$/],
    ['nodeport', { to: 'localhost:30100' }, /this node is node:NODEPORT, its loopback 127\.0\.0\.1:PORT/],
    ['nodeport', { to: 'other/web:80' }, /no Service other\/web .*there is one in namespace default/],
    ['nodeport', { to: 'web:81' }, /Service default\/web has no port 81: http 80\/tcp/],
    ['three-protocols-one-port', { to: 'dns' }, /has several ports, name one/],
    ['nodeport', { to: '10.96.0.10:80', from: 'fd00::1' }, /one IP family/],
  ];
  for (const [name, question, message] of refused) {
    it(`refuses ${JSON.stringify(question)} in ${name}`, async () => {
      const known = await input(name);
      expect(() => answersTo(question, known)).to.throw(UsageError, message);
    });
  }

  it('says which address of the node is missing', async () => {
    const known = { ...(await input('nodeport')), primaryAddresses: ['172.18.0.11'] };
    expect(() => answersTo({ to: 'node:30100', from: 'fd00::1' }, known)).to.throw(UsageError, /the IPv6 address of/);
  });

  it('does not look for a Service where only rules are given', () => {
    const programs = dumpPrograms(corpusFile('nodeport', 'iptables.rules'), 'a', ['IPv4']);
    const known = { programs, ...recordedSurroundings([]) };
    expect(() => answersTo({ to: 'web:80' }, known)).to.throw(UsageError, /rules alone do not tell .* -f PATH/);
  });

  it('asks for a pod that is no endpoint, the node and somebody outside when no client is named', async () => {
    const answers = await ask('nodeport', { to: 'node:30100' });
    expect(answers.map(({ client }) => `${client.kind} ${client.address.text}`)).to.deep.equal([
      'pod 10.244.1.2',
      'node 172.18.0.11',
      'outside 192.0.2.1',
    ]);
  });

  it('takes a client for a pod by its interface where pods are told by interfaces', async () => {
    const question = { to: 'web', from: '172.18.0.100' };
    const [outside] = await ask('detect-local-bridge', { ...question, inInterface: 'eth0' });
    const [pod] = await ask('detect-local-bridge', { ...question, inInterface: 'br0' });
    expect([outside?.client.kind, pod?.client.kind]).to.deep.equal(['outside', 'pod']);
    expect(pod?.outcome.endpoints.map(({ source }) => source)).to.deep.equal(['kept', 'kept']);
  });

  it('names the endpoints left out, and why', async () => {
    const [answer] = await ask('terminating-endpoints', { to: '10.96.0.10:80', from: '10.244.1.13' });
    expect(answerData(answer!).left_out.map(({ why }) => why)).to.include('terminating');
    const [local] = await ask('nodeport-local-policy', { to: 'node:30100', from: '172.18.0.100' });
    expect(answerData(local!).left_out).to.deep.equal([{ address: '10.244.2.14', port: 8080, why: 'not local' }]);
  });

  const reasons: readonly [name: string, question: Question, reason: RegExp][] = [
    [
      'nodeport',
      { to: '10.96.0.10:4444', from: '172.18.0.100' },
      /cluster IP of default\/web, which serves 80\/tcp only/,
    ],
    ['nodeport', { to: 'node:30999', from: '172.18.0.100' }, /no Service has the node port 30999\/tcp/],
    ['nodeport-no-endpoints', { to: 'node:30100', from: '172.18.0.100' }, /has no endpoint that is ready/],
    [
      'nodeport-local-policy-no-local-endpoint',
      { to: 'node:30100', from: '172.18.0.100' },
      /externalTrafficPolicy is Local/,
    ],
    [
      'loadbalancer-source-ranges',
      { to: '203.0.113.5:80', from: '10.244.1.13' },
      /loadBalancerSourceRanges .* do not hold 10\.244\.1\.13/,
    ],
    [
      'nodeport-addresses',
      { to: '172.18.0.11:30100', from: '172.18.0.100' },
      /node ports are accepted on 192\.168\.77\.11/,
    ],
  ];
  for (const [name, question, reason] of reasons) {
    it(`says why not: ${name} ${question.to}`, async () => {
      const [answer] = await ask(name, question);
      expect(answer?.reasons.join('\n')).to.match(reason);
    });
  }

  it('names the firewall that stops a packet', async () => {
    const models = await recordedModels('nodeport', 'iptables');
    const text = corpusFile('nodeport', 'iptables.rules').replaceAll(':FORWARD ACCEPT', ':FORWARD DROP');
    const admin =
      'table inet fw {\n\tchain f {\n\t\ttype filter hook forward priority 5; policy accept;\n\t\ttcp dport 8080 drop\n\t}\n}\n';
    const question = { to: 'web:80', from: '10.244.1.13' };
    const [dropped] = answersTo(question, {
      programs: dumpPrograms(text, 'a', ['IPv4']),
      ...recordedSurroundings(models),
    });
    expect(dropped?.reasons).to.include('no rule of mangle FORWARD lets it pass, and the policy of the chain is DROP');
    const both = [...desiredPrograms('iptables', models), ...dumpPrograms(admin, 'b', [])];
    const [stopped] = answersTo(question, { programs: both, ...recordedSurroundings(models) });
    expect(stopped?.reasons).to.deep.equal(["a rule in inet fw f that is no proxy's stops it: tcp dport 8080 drop"]);
  });

  for (const file of ['iptables.rules', 'table-ip.nft']) {
    it(`names the Service from the rules of ${file} when that is all there is`, () => {
      const programs = dumpPrograms(corpusFile('nodeport', file), file, ['IPv4', 'IPv6']);
      const [answer] = answersTo(
        { to: '172.18.0.11:30100', from: '172.18.0.100' },
        { programs, ...recordedSurroundings([]) },
      );
      expect(answerData(answer!).service).to.deep.equal({ namespace: 'default', name: 'web', portName: 'http' });
    });
  }

  it('gives programs the path rule by rule', async () => {
    const [answer] = await ask('clusterip-one-endpoint', { to: 'web', from: '10.244.1.13' });
    const { steps, ...rest } = answerData(answer!);
    expect(steps.map(({ hook, table, chain }) => `${hook} ${table} ${chain}`).slice(0, 4)).to.deep.equal([
      'prerouting nat PREROUTING',
      'prerouting nat KUBE-SERVICES',
      'prerouting nat KUBE-SVC-CDGGSHYLG3RE2FKL',
      'prerouting nat KUBE-SEP-GRN42MLLXE7AE7AU',
    ]);
    expect(steps.every(({ family, rule, why }) => family === 'IPv4' && rule !== '' && why !== '')).to.be.true;
    expect(rest).to.deep.include({
      from: 'pod',
      source: '10.244.1.13',
      verdict: 'endpoint',
      affinity: false,
      uncertain: false,
    });
    expect(rest.service).to.deep.equal({ namespace: 'default', name: 'web', port: 80, portName: 'http' });
    expect([rest.way, rest.policy]).to.deep.equal(['cluster IP', 'Cluster']);
    expect(rest.endpoints.map(({ address, node }) => [address, node])).to.deep.equal([['10.244.2.14', 'node-2']]);
  });
});

describe('a saved listing', () => {
  it('is IPv6 when its addresses are', () => {
    const [program] = dumpPrograms(corpusFile('dual-stack', 'ip6tables.rules'), 'dump', ['IPv4', 'IPv6']);
    expect(program?.baseChains.every(({ isV6 }) => isV6 === true)).to.be.true;
  });

  for (const text of ['', 'hello', '*nat\nnonsense\nCOMMIT\n', 'table ip x {\n']) {
    it(`is refused with the file's name: ${JSON.stringify(text)}`, () => {
      expect(() => dumpPrograms(text, 'rules.txt', ['IPv4'])).to.throw(UsageError, /^rules\.txt: /);
    });
  }
});
