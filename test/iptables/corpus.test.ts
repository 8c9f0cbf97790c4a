import { expect } from 'chai';
import { parseIptables } from '../../src/iptables/parse.ts';
import { planIptables } from '../../src/iptables/plan.ts';
import { desiredIptables, renderIptables } from '../../src/iptables/render.ts';
import { corpusCases, corpusFile, corpusModel } from '../support/corpus.ts';

const families = [
  ['IPv4', 'iptables.rules'],
  ['IPv6', 'ip6tables.rules'],
] as const;

describe('iptables rules, held against those that kube-proxy wrote', () => {
  for (const name of corpusCases) {
    for (const [family, file] of families) {
      it(`${name}, ${family}: nothing differs, with counters and without`, async () => {
        const recorded = corpusFile(name, file);
        // What the host's kernel was set to is not in the configuration; the recording shows it.
        const model = await corpusModel(name, 'iptables', family, !recorded.includes('--ctstate INVALID'));
        const live = parseIptables(recorded);
        for (const counters of [true, false]) {
          const desired = desiredIptables(model, { counters });
          const plan = planIptables(live, desired, { family, variant: 'nft' });
          expect(plan.changes).to.deep.equal([]);
          expect(plan.scripts).to.deep.equal([]);
          const rendered = parseIptables(renderIptables(model, { counters }));
          expect(planIptables(rendered, desired, { family, variant: 'nft' }).changes).to.deep.equal([]);
        }
      });
    }
  }

  it('finds every rule of every case missing from an empty kernel', async () => {
    const model = await corpusModel('nodeport', 'iptables', 'IPv4');
    const { changes } = planIptables({ parts: [] }, desiredIptables(model, { counters: false }), {
      family: 'IPv4',
      variant: 'nft',
    });
    const rules = renderIptables(model, { counters: false })
      .split('\n')
      .filter((line) => line.startsWith('-A'));
    expect(changes.flatMap(({ after }) => after)).to.have.members(rules);
  });
});
