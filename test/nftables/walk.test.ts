import { expect } from 'chai';
import { nftablesProgram } from '../../src/nftables/walk.ts';
import { parseNftables } from '../../src/nftables/parse.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import { walk } from '../../src/ruleset/walk.ts';
import { flowsOf, inWords, packetOf, recordedHost, sorted } from '../ruleset/flows.ts';
import { corpusCases, corpusFile } from '../support/corpus.ts';

describe('walking recorded nftables tables', () => {
  for (const name of corpusCases) {
    it(`does to every packet what the kernel did: ${name}`, () => {
      const programs = ['table-ip.nft', 'table-ip6.nft'].map((file) =>
        nftablesProgram(parseNftables(corpusFile(name, file))),
      );
      const host = recordedHost();
      for (const flow of flowsOf(name)) {
        const outcome = outcomeOf(walk(programs, packetOf(flow), host));
        const expectation = flow.expect ?? flow.nftables!;
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
