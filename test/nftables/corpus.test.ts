import { expect } from 'chai';
import { parseNftables } from '../../src/nftables/parse.ts';
import { planNftables } from '../../src/nftables/plan.ts';
import { desiredNftables, renderNftables } from '../../src/nftables/render.ts';
import { nftablesProgram } from '../../src/nftables/walk.ts';
import { objectsOf } from '../../src/ruleset/ruleset.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import { walk } from '../../src/ruleset/walk.ts';
import { flowsOf, inWords, packetOf, recordedHost, sorted } from '../ruleset/flows.ts';
import { corpusCases } from '../support/corpus.ts';
import { modelsOf, recordedTable } from './case-model.ts';
import { createTestKernel } from './kernel.ts';
import type { TestKernel } from './kernel.ts';

describe('nftables rules of recorded clusters', () => {
  for (const name of corpusCases) {
    it(`do to every packet what kube-proxy did: ${name}`, async () => {
      const programs = (await modelsOf(name)).map((model) => nftablesProgram(desiredNftables(model)));
      const host = recordedHost();
      for (const flow of flowsOf(name)) {
        const outcome = outcomeOf(walk(programs, packetOf(flow), host));
        expect(inWords(outcome), JSON.stringify(flow)).to.deep.equal(sorted(flow.expect ?? flow.nftables!));
      }
    });
  }
});

describe('nftables rules of recorded clusters in the kernel', function () {
  this.timeout(60_000);
  let kernel: TestKernel;

  before(async () => {
    kernel = await createTestKernel();
  });
  after(() => kernel.remove());

  for (const name of corpusCases) {
    it(`are listed as they were rendered: ${name}`, async () => {
      await kernel.flush();
      for (const model of await modelsOf(name)) {
        await kernel.load(renderNftables(model));
        const { changes } = planNftables(await kernel.list(model.family), desiredNftables(model), model.family);
        expect(changes).to.deep.equal([]);
        const { changes: read } = planNftables(
          parseNftables(renderNftables(model)),
          await kernel.list(model.family),
          model.family,
        );
        expect(read).to.deep.equal([]);
      }
    });

    it(`are written by a plan from nothing, and then nothing is left to do: ${name}`, async () => {
      await kernel.flush();
      for (const model of await modelsOf(name)) {
        const desired = desiredNftables(model);
        const plan = planNftables({ parts: [] }, desired, model.family);
        await kernel.apply(plan);
        expect(planNftables(await kernel.list(model.family), desired, model.family).changes).to.deep.equal([]);
        expect(planNftables(plan.after, desired, model.family).changes).to.deep.equal([]);
      }
    });

    it(`take the place of kube-proxy's in one transaction for each family: ${name}`, async () => {
      await kernel.flush();
      for (const model of await modelsOf(name)) {
        const desired = desiredNftables(model);
        await kernel.load(recordedTable(name, model.family));
        const plan = planNftables(await kernel.list(model.family), desired, model.family);
        expect(plan.scripts.filter(({ phase }) => phase === 'change')).to.have.lengthOf(1);
        await kernel.apply(plan);
        const live = await kernel.list(model.family);
        expect(planNftables(live, desired, model.family).changes).to.deep.equal([]);
        expect([...objectsOf(live).keys()].sort()).to.deep.equal([...objectsOf(desired).keys()].sort());
      }
    });
  }
});
