import { expect } from 'chai';
import { parseIptables } from '../../src/iptables/parse.ts';
import { planIptables } from '../../src/iptables/plan.ts';
import { desiredIptables, renderIptables } from '../../src/iptables/render.ts';
import { buildModel } from '../../src/model/build.ts';
import { scriptText, serviceAtLine } from '../../src/ruleset/plan.ts';
import type { ClusterState } from '../../src/source/objects.ts';
import { endpoint, manyServices, modelOptions, port, service, slice, state } from '../support/state.ts';

const web = service({ type: 'NodePort', ports: [port({ nodePort: 30_080 })] });
const of = state([web], [slice([endpoint('10.244.1.1'), endpoint('10.244.1.2')])]);
const target = { family: 'IPv4', variant: 'nft' } as const;
const counted = { counters: true };
const plain = { counters: false };
const model = (from: ClusterState = of) => buildModel(from, modelOptions());
const text = (counters = plain) => renderIptables(model(), counters);
const planned = (live: string, counters = plain, from: ClusterState = of) =>
  planIptables(parseIptables(live), desiredIptables(model(from), counters), target);
const scripts = (live: string, counters = plain, from: ClusterState = of) =>
  planned(live, counters, from).scripts.map(scriptText).join('');

describe('a plan of iptables rules', () => {
  for (const [title, change] of [
    [
      'kube-proxy’s canaries',
      (live: string) =>
        `*mangle\n:KUBE-PROXY-CANARY - [0:0]\nCOMMIT\n${live.replace('*nat\n', '*nat\n:KUBE-PROXY-CANARY - [0:0]\n')}`,
    ],
    [
      'the kubelet’s chains',
      (live: string) => `*mangle\n:KUBE-IPTABLES-HINT - [0:0]\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n${live}`,
    ],
    [
      'the kubelet’s rules in the chain that we share',
      (live: string) =>
        live.replace('-A KUBE-FORWARD', '-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP\n-A KUBE-FORWARD'),
    ],
    [
      'foreign chains and rules',
      (live: string) =>
        live.replace('*nat\n', '*nat\n:MINE - [0:0]\n-A PREROUTING -j MINE\n-A MINE -d 192.0.2.1/32 -j RETURN\n'),
    ],
    [
      'a foreign jump to a chain of ours',
      (live: string) =>
        live.replace('-A POSTROUTING', '-A PREROUTING -p tcp -m tcp --dport 9999 -j KUBE-SERVICES\n-A POSTROUTING'),
    ],
    [
      'the order of dispatch rules',
      (live: string) => live.replace(/(-A KUBE-SERVICES -d .*\n)([\s\S]*?)(-A KUBE-SERVICES -m)/, '$2$1$3'),
    ],
    ['packet counts in front of rules', (live: string) => live.replace(/^-A/gm, '[12:3456] -A')],
    [
      'comments that kube-proxy leaves out of large clusters',
      (live: string) =>
        live
          .replace(/(-A KUBE-SEP-\S+.*?) -m comment --comment "[^"]*"/g, '$1')
          .replace(/(-A KUBE-SVC-\S+) -m comment --comment "[^"]* -> [^"]*"/g, '$1'),
    ],
    ['counters that are there', () => text(counted)],
  ] as const) {
    it(`has nothing to say about ${title}`, () => {
      expect(change(text())).not.to.equal(text());
      expect(planned(change(text())).changes).to.deep.equal([]);
    });
  }

  it('does not write rules just because counters are missing', () => {
    expect(planned(text(), counted).changes).to.deep.equal([]);
  });

  it('takes a counting rule out together with the rule that it counts for', () => {
    const without = state([service()], [slice([endpoint('10.244.1.1'), endpoint('10.244.1.2')])]);
    const removed = scripts(text(counted), plain, without).match(/^-D KUBE-NODEPORTS .*$/gm);
    expect(removed).to.have.lengthOf(2);
  });

  it('puts a counting rule in front of the rule that it counts for', () => {
    const inserted = scripts(renderIptables(model(state([], [])), counted), counted).match(
      /^-I KUBE-NODEPORTS 1 .*$/gm,
    );
    expect(inserted?.map((rule) => rule.includes('nfacct'))).to.deep.equal([false, true]);
  });

  it('keeps the rule that must be last the last', () => {
    const tail =
      text()
        .split('\n')
        .find((rule) => rule.includes('must be the last')) ?? '';
    const moved = text().replace(`${tail}\n`, '').replace('-A KUBE-SERVICES', `${tail}\n-A KUBE-SERVICES`);
    expect(scripts(moved)).to.equal(`*nat\n${tail.replace('-A', '-D')}\n${tail}\nCOMMIT\n`);
  });

  it('never empties the chain that the kubelet shares', () => {
    const live = '*filter\n:KUBE-FIREWALL - [0:0]\n-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP\nCOMMIT\n';
    const script = scripts(live);
    expect(script).not.to.include(':KUBE-FIREWALL').and.not.include('-D KUBE-FIREWALL');
    expect(script).to.match(/^-I KUBE-FIREWALL 1 ! -s 127/m);
    expect(scripts('')).to.include(':KUBE-FIREWALL');
  });

  it('adds to the filter table before nat and takes away from it after', () => {
    const empty = state([web], []);
    const losing = scripts(text(), plain, empty);
    expect(losing.indexOf('-j REJECT')).to.be.within(0, losing.indexOf('*nat'));
    const gaining = scripts(renderIptables(model(empty), plain));
    expect(gaining.indexOf('-D KUBE-SERVICES')).to.be.greaterThan(gaining.indexOf('*nat'));
  });

  it('removes in the same commit, and keeps that apart for when it is refused', () => {
    const fewer = state([web], [slice([endpoint('10.244.1.1')])]);
    const { scripts: together, apart = [] } = planned(text(), plain, fewer);
    expect(together.map(({ phase }) => phase)).to.deep.equal(['change']);
    expect(apart.map(({ phase }) => phase)).to.deep.equal(['change', 'clean-up']);
    const lines = (of: typeof apart) => of.flatMap((script) => scriptText(script).split('\n'));
    const frame = ['*nat', 'COMMIT', ''];
    const rules = (of: typeof apart) => lines(of).filter((line) => !frame.includes(line));
    expect(rules(together)).to.deep.equal(rules(apart));
    expect(lines(together).filter((line) => line === 'COMMIT')).to.have.lengthOf(1);
  });

  it('keeps removal apart where a second table is concerned', () => {
    const { scripts: kept, apart } = planned(text(), plain, state([web], []));
    expect(kept.map(({ phase }) => phase)).to.deep.equal(['change', 'clean-up']);
    expect(apart).to.equal(undefined);
  });

  it('makes a chain before anything jumps to it', () => {
    const made = new Set(['KUBE-MARK-MASQ', 'KUBE-FIREWALL']);
    for (const rule of scripts('').split('\n')) {
      const declared = /^:(\S+)/.exec(rule)?.[1];
      const jump = / -j (KUBE-\S+)/.exec(rule)?.[1];
      if (declared !== undefined) made.add(declared);
      if (jump !== undefined) expect([...made]).to.include(jump);
    }
  });

  it('names the Service of every line that is written for one', () => {
    const {
      scripts: [script],
    } = planned('');
    const lines = script === undefined ? [] : scriptText(script).split('\n');
    for (const [index, rule] of lines.entries()) {
      const owner = script === undefined ? undefined : serviceAtLine(script, index + 1);
      if (/KUBE-(?:SVC|EXT|SEP)-|default\/web/.test(rule)) expect(owner?.name, rule).to.equal('web');
      else expect(owner, rule).to.equal(undefined);
    }
  });

  it('knows whose a chain is when its rules say nothing', () => {
    const bare = text().replace(/(-A KUBE-S(?:EP|VC)-\S+.*?) -m comment --comment "[^"]*"/g, '$1');
    const { changes } = planned(bare, plain, state([], []));
    for (const { object, service: owner } of changes)
      if (/KUBE-S(?:EP|VC)-/.test(object)) expect(owner?.name).to.equal('web');
  });

  it('grows by eight rules and four chains for a Service with two endpoints', () => {
    const size = (count: number) => {
      const rendered = renderIptables(model(manyServices(count, 2)), plain).split('\n');
      return [
        rendered.filter((one) => one.startsWith('-A')).length,
        rendered.filter((one) => one.startsWith(':')).length,
      ];
    };
    const [rules = 0, chains = 0] = size(20);
    const [more = 0, moreChains = 0] = size(40);
    // Half of them have a node port: three rules and a chain more.
    expect([more - rules, moreChains - chains]).to.deep.equal([20 * 8 + 10 * 3, 20 * 3 + 10]);
  });
});
