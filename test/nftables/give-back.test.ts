import { expect } from 'chai';
import { tableOf } from '../../src/nftables/names.ts';
import { parseNftables } from '../../src/nftables/parse.ts';
import { planNftables } from '../../src/nftables/plan.ts';
import { desiredNftables } from '../../src/nftables/render.ts';
import { objectsOf } from '../../src/ruleset/ruleset.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { corpusCases } from '../support/corpus.ts';
import { kubeProxyStart } from '../support/kube-proxy-start.ts';
import { modelsOf, recordedTable } from './case-model.ts';
import { createTestKernel } from './kernel.ts';
import type { TestKernel } from './kernel.ts';

/** The words of a ruleset that packets meet: hooks, rules and named containers, from the base chains on. */
function reachable(ruleset: Ruleset): Ruleset {
  const objects = objectsOf(ruleset);
  const byName = new Map([...objects.values()].map((object) => [object.name, object]));
  const found = new Set([...objects.values()].filter(({ definition }) => / hook /.test(definition.join())));
  // A set grows while it is walked.
  for (const { lines } of found) {
    for (const word of lines.join(' ').split(/[\s,{}]+/)) {
      const object = byName.get(word.replace(/^@/, ''));
      if (object !== undefined) found.add(object);
    }
  }
  return { parts: [[...objects.values()].filter((object) => object.kind === 'table' || found.has(object))] };
}

describe('kube-proxy that starts on our table', function () {
  this.timeout(60_000);
  let kernel: TestKernel;

  before(async () => {
    kernel = await createTestKernel();
  });
  after(() => kernel.remove());

  const starts = corpusCases.flatMap((name, index) => {
    const other = corpusCases[index + 7];
    const same = [name, name, 'made for the same cluster'] as const;
    return index % 4 > 0 || other === undefined ? [same] : [same, [name, other, `made for ${other}`] as const];
  });
  for (const [name, ours, words] of starts) {
    it(`finds nothing in its way, and packets meet its rules alone: ${name}, on a table ${words}`, async () => {
      await kernel.flush();
      for (const model of await modelsOf(ours)) {
        const { family } = model;
        await kernel.apply(planNftables({ parts: [] }, desiredNftables(model), family));
        const recorded = parseNftables(recordedTable(name, family));
        const { sync, removal } = kubeProxyStart(recorded, await kernel.list(family), tableOf(family));
        await kernel.load(sync);
        await kernel.load(removal);
        const live = await kernel.list(family);
        expect(planNftables(reachable(live), reachable(recorded), family).changes).to.deep.equal([]);
        expect(kubeProxyStart(recorded, live, tableOf(family)).removal).to.equal('');
      }
    });
  }
});
