import { expect } from 'chai';
import { parseIptables } from '../../src/iptables/parse.ts';
import { iptablesProgram } from '../../src/iptables/walk.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import { walk } from '../../src/ruleset/walk.ts';
import { cases, flowsOf, inWords, packetOf, readCase, recordedHost, sorted } from '../ruleset/flows.ts';

describe('walking recorded iptables rules', () => {
  for (const name of cases) {
    it(`does to every packet what the kernel did: ${name}`, () => {
      const ipv4 = iptablesProgram(parseIptables(readCase(name, 'iptables.rules')), 'IPv4');
      const ipv6 = iptablesProgram(parseIptables(readCase(name, 'ip6tables.rules')), 'IPv6');
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
