import { expect } from 'chai';
import { answersTo } from '../../../src/commands/explain/answer.ts';
import type { Answer, Question } from '../../../src/commands/explain/answer.ts';
import { dotText, mermaidText } from '../../../src/commands/explain/graph.ts';
import { desiredPrograms, dumpPrograms } from '../../../src/commands/explain/programs.ts';
import { explainText, probabilityText } from '../../../src/commands/explain/text.ts';
import { corpusFile } from '../../support/corpus.ts';
import { recordedModels, recordedSurroundings } from '../recorded.ts';

async function ask(name: string, question: Question): Promise<readonly Answer[]> {
  const models = await recordedModels(name, 'iptables');
  return answersTo(question, { programs: desiredPrograms('iptables', models), ...recordedSurroundings(models) });
}

describe('explain for people', () => {
  it('shows the way of a packet, one rule a line', async () => {
    const text = explainText(await ask('nodeport', { to: 'node:30100', from: '172.18.0.100' }));
    expect(text.split('\n')).to.deep.equal([
      'To       172.18.0.11:30100/tcp',
      'Service  default/web:http by its node port, externalTrafficPolicy Cluster',
      '',
      'From 172.18.0.100 (outside): delivered to an endpoint',
      '  10.244.1.11:8080 (on node-1)  1/2 (50%), sees 10.244.1.1 instead of 172.18.0.100: answers must come back through this node',
      '  10.244.2.14:8080 (on node-2)  1/2 (50%), sees 172.18.0.11 instead of 172.18.0.100: answers must come back through this node',
      '  path:',
      '    prerouting',
      '      nat PREROUTING: look for a Service with its destination  { -j KUBE-SERVICES }',
      '        nat KUBE-SERVICES: it is for this node itself: look among the node ports  { -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS }',
      '          nat KUBE-NODEPORTS: it comes by an external address or node port of the Service (default/web:http)  { -p tcp -m tcp --dport 30100 -j KUBE-EXT-CDGGSHYLG3RE2FKL }',
      '            nat KUBE-EXT-CDGGSHYLG3RE2FKL: its source address must be replaced, so that answers come back through this node (masquerade traffic for default/web:http external destinations)  { -j KUBE-MARK-MASQ }',
      '              nat KUBE-MARK-MASQ: mark it to be masqueraded  { -j MARK --set-xmark 0x4000/0x4000 }',
      '            nat KUBE-EXT-CDGGSHYLG3RE2FKL: choose one of the endpoints of the Service  { -j KUBE-SVC-CDGGSHYLG3RE2FKL }',
      '              [1/2] nat KUBE-SVC-CDGGSHYLG3RE2FKL: this endpoint is chosen (default/web:http -> 10.244.1.11:8080)  { -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-ELX6N4Z5RGB67TLC }',
      '                nat KUBE-SEP-ELX6N4Z5RGB67TLC: send it to 10.244.1.11 port 8080 (default/web:http)  { -p tcp -m tcp -j DNAT --to-destination 10.244.1.11:8080 }',
      '              [1/2] nat KUBE-SVC-CDGGSHYLG3RE2FKL: this endpoint is chosen (default/web:http -> 10.244.2.14:8080)  { -j KUBE-SEP-GRN42MLLXE7AE7AU }',
      '                nat KUBE-SEP-GRN42MLLXE7AE7AU: send it to 10.244.2.14 port 8080 (default/web:http)  { -p tcp -m tcp -j DNAT --to-destination 10.244.2.14:8080 }',
      '    forward',
      '      filter FORWARD: look for a load balancer address that does not allow its source: nothing  { -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL }',
      '      filter FORWARD: rules for packets routed through this node  { -j KUBE-FORWARD }',
      '        filter KUBE-FORWARD: let it pass this table  { -m mark --mark 0x4000/0x4000 -j ACCEPT }',
      '    postrouting',
      '      nat POSTROUTING: must its source address be replaced?  { -j KUBE-POSTROUTING }',
      '        nat KUBE-POSTROUTING: take the mark off again  { -j MARK --set-xmark 0x4000/0x0 }',
      "        nat KUBE-POSTROUTING: replace its source address by this node's  { -j MASQUERADE --random-fully }",
      '',
    ]);
  });

  it('does not deny the Service where an endpoint is reached by rules that do not name it', async () => {
    const programs = desiredPrograms('nftables', await recordedModels('nodeport', 'nftables'));
    const headings = ['172.18.0.11:30100', '172.18.0.11:30101'].map((to) => {
      const answers = answersTo({ to, from: '172.18.0.100' }, { programs, ...recordedSurroundings([]) });
      return explainText(answers).split('\n')[1];
    });
    expect(headings).to.deep.equal(['Service  none that these rules name', 'Service  none']);
  });

  it('puts all kinds of client side by side', async () => {
    const lines = explainText(await ask('nodeport-local-policy-no-local-endpoint', { to: 'node:30100' })).split('\n');
    expect(lines.slice(3, 7).map((line) => line.split(/ {2,}/).slice(0, 3))).to.deep.equal([
      ['FROM', 'SOURCE', 'VERDICT'],
      ['pod', '10.244.1.2', 'endpoint'],
      ['node', '172.18.0.11', 'endpoint'],
      ['outside', '192.0.2.1', 'drop'],
    ]);
  });

  it('tells what all endpoints share once, also where the hook stays the same', async () => {
    const text = explainText(await ask('nodeport', { to: 'node:30100', from: '172.18.0.11' }));
    expect(text.match(/filter OUTPUT: .*KUBE-PROXY-FIREWALL/g)).to.have.length(1);
    expect(text.indexOf('filter OUTPUT: ')).to.be.above(text.lastIndexOf('send it to 10.244.2.14'));
  });

  it('tells apart what branches go through, and once what they share', async () => {
    const models = await recordedModels('nodeport', 'iptables');
    const text = corpusFile('nodeport', 'iptables.rules').replaceAll(
      '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
      '-A FORWARD -d 10.244.2.0/24 -j REJECT --reject-with icmp-port-unreachable',
    );
    const [answer] = answersTo(
      { to: 'web', from: '10.244.1.13' },
      { programs: dumpPrograms(text, 'dump', ['IPv4']), ...recordedSurroundings(models) },
    );
    const printed = explainText([answer!]);
    expect(printed).to.include('but 1/2 (50%): refused, and the client is told');
    expect(printed).to.include('afterwards, to 10.244.1.11:8080\n');
    expect(printed).to.include('afterwards, to 10.244.2.14:8080\n');
  });

  it('says what may happen when a rule could not be understood', async () => {
    const models = await recordedModels('nodeport', 'iptables');
    const rule = '-A FORWARD -m set --match-set blocked src -j DROP';
    const text = corpusFile('nodeport', 'iptables.rules').replace('-A FORWARD', `${rule}\n-A FORWARD`);
    const answers = answersTo(
      { to: 'web', from: '10.244.1.13' },
      { programs: dumpPrograms(text, 'dump', ['IPv4']), ...recordedSurroundings(models) },
    );
    const printed = explainText(answers);
    expect(printed).to.include(
      `uncertain: "${rule}" in filter could not be understood. If it matches: dropped in silence`,
    );
    expect(printed).to.include('may stop here');
  });

  it('shows endpoints left out with the reason', async () => {
    const printed = explainText(await ask('nodeport-local-policy', { to: 'node:30100', from: '172.18.0.100' }));
    expect(printed).to.include('left out: 10.244.2.14:8080, it is on another node, and the traffic policy is Local');
  });

  const fractions: readonly [probability: number, text: string][] = [
    [1, 'always'],
    [0.5, '1/2 (50%)'],
    [0.33333333349, '1/3 (33.3%)'],
    [2 / 7, '2/7 (28.6%)'],
    [1 / 5000, '1/5000 (0.02%)'],
    [0.1234567, '12.3%'],
  ];
  for (const [probability, text] of fractions) {
    it(`writes ${probability} as ${text}`, () => {
      expect(probabilityText(probability)).to.equal(text);
    });
  }
});

describe('explain drawn', () => {
  it('is a Mermaid flow chart with one end for each endpoint', async () => {
    const text = mermaidText(await ask('nodeport', { to: 'node:30100', from: '172.18.0.100' }));
    expect(text).to.match(/^flowchart TD\n/);
    expect(text.match(/\(\["10\.244\.1\.11:8080"\]\)/g)).to.have.length(1);
    expect(text).to.include('-->|"1/2 (50%)"|');
  });

  it('is a graph for Graphviz in which every edge joins two nodes', async () => {
    const text = dotText(await ask('session-affinity', { to: 'web' }));
    const nodes = new Set(Array.from(text.matchAll(/^ {2}(n\d+) \[label/gm), ([, id]) => id));
    const ends = Array.from(text.matchAll(/^ {2}(n\d+) -> (n\d+)/gm), ([, from, to]) => [from, to]).flat();
    expect(ends).to.have.length.above(4);
    expect(ends.every((id) => nodes.has(id))).to.be.true;
  });
});
