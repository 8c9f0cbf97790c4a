import { expect } from 'chai';
import { answersTo } from '../../../src/commands/explain/answer.ts';
import { answerData } from '../../../src/commands/explain/data.ts';
import { desiredPrograms } from '../../../src/commands/explain/programs.ts';
import { addressAndPort } from '../../../src/source/address.ts';
import { flowsOf, inWords, sorted } from '../../ruleset/flows.ts';
import { corpusCases } from '../../support/corpus.ts';
import { recordedModels, recordedSurroundings } from '../recorded.ts';

describe('explain over the rules of a recorded cluster', () => {
  for (const mode of ['iptables', 'nftables'] as const) {
    for (const name of corpusCases) {
      it(`answers every question as the kernel did, ${mode}: ${name}`, async () => {
        const models = await recordedModels(name, mode);
        const input = { programs: desiredPrograms(mode, models), ...recordedSurroundings(models) };
        for (const flow of flowsOf(name)) {
          const to = `${addressAndPort(flow.destination, flow.port)}/${flow.protocol}`;
          const [answer] = answersTo({ to, from: flow.source }, input);
          const expectation = flow.expect ?? flow[mode]!;
          expect(inWords(answer!.outcome), JSON.stringify(flow)).to.deep.equal(sorted(expectation));
          const data = answerData(answer!);
          expect(data.from, JSON.stringify(flow)).to.equal(flow.from);
          expect(data.uncertain).to.be.false;
          expect(data.service === undefined).to.equal(answer!.frontend === undefined);
          const total = data.endpoints.reduce((sum, { probability }) => sum + probability, 0);
          if (data.verdict === 'endpoint') expect(total).to.be.closeTo(1, 1e-9);
        }
      });
    }
  }
});
