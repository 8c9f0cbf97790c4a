import { expect } from 'chai';
import { parseIptables } from '../../src/iptables/parse.ts';
import { iptablesProgram } from '../../src/iptables/walk.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import { walk } from '../../src/ruleset/walk.ts';
import { flowsOf, inWords, packetOf, recordedHost, sorted } from '../ruleset/flows.ts';
import { corpusCases, corpusFile } from '../support/corpus.ts';

describe('walking recorded iptables rules', () => {
  for (const name of corpusCases) {
    it(`does to every packet what the kernel did: ${name}`, () => {
      const ipv4 = iptablesProgram(parseIptables(corpusFile(name, 'iptables.rules')), 'IPv4');
      const ipv6 = iptablesProgram(parseIptables(corpusFile(name, 'ip6tables.rules')), 'IPv6');
      const host = recordedHost();
      for (const flow of flowsOf(name)) {
        const outcome = outcomeOf(walk([ipv4, ipv6], packetOf(flow), host));
        const expectation = flow.expect ?? flow.iptables!;
        expect(inWords(outcome), JSON.stringify(flow)).to.deep.equal(sorted(expectation));
        expect(outcome.uncertain, JSON.stringify(flow)).to.be.false;
        expect(outcome.others).to.deep.equal([]);
        for (const { probability } of outcome.endpoints) {
          expect(probability).to.be.closeTo(1 / outcome.endpoints.length, 1e-6);
        }
      }
    });
  }
});
