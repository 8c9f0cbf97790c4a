import { expect } from 'chai';
import { buildModel } from '../../src/model/build.ts';
import { parseNftables } from '../../src/nftables/parse.ts';
import { planNftables } from '../../src/nftables/plan.ts';
import { desiredNftables, renderNftables } from '../../src/nftables/render.ts';
import { objectsOf } from '../../src/ruleset/ruleset.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { endpoint, modelOptions, service, slice, state } from '../support/state.ts';

describe('rulesets of successive models', () => {
  const options = modelOptions();
  const services = (names: readonly number[]) =>
    names.map((number) => service({ clusterIPs: [`10.96.0.${number}`] }, { name: `svc-${number}` }));
  /** Service n has the n-th number of endpoints. */
  const model = (names: readonly number[], endpoints: readonly number[]) =>
    buildModel(
      state(
        services(names),
        names.map((number) => {
          const addresses = Array.from(
            { length: endpoints[number] ?? 0 },
            (_, index) => `10.244.${number}.${index + 1}`,
          );
          return slice(
            addresses.map((address) => endpoint(address)),
            {},
            `svc-${number}`,
          );
        }),
      ),
      options,
    );
  const classes = (ruleset: Ruleset) =>
    [...objectsOf(ruleset).values()].filter(({ name }) => /^class-\d/.test(name)).map(({ name }) => name);

  it('have the classes that are needed now, whichever were before', () => {
    const seen = [
      model([0, 1, 2], [1, 2, 3]),
      model([0, 1, 2], [1, 2, 2]),
      model([0, 1, 2], [2, 2, 2]),
      model([0, 2], [2, 2, 5]),
      model([0, 1, 2, 3], [2, 1, 5, 4]),
      model([], []),
      model([3], [0, 0, 0, 0]),
      model([1, 3], [0, 3, 0, 1]),
    ].map((one) => classes(desiredNftables(one)).join(' '));
    expect(seen).to.deep.equal([
      'class-1 class-2 class-3',
      'class-1 class-2',
      'class-2',
      'class-2 class-5',
      'class-1 class-2 class-4 class-5',
      '',
      '',
      'class-1 class-3',
    ]);
  });

  it('differ in nothing from what each alone renders', () => {
    const counts = [1, 2, 3, 4, 0, 2, 1];
    for (let step = 0; step < 40; step++) {
      const names = counts.flatMap((_, number) => ((step * (number + 3)) % 5 === 0 ? [] : [number]));
      const now = model(
        names,
        counts.map((count, number) => (count + Math.floor(step / (number + 1))) % 5),
      );
      const desired = desiredNftables(now);
      expect(planNftables(parseNftables(renderNftables(now)), desired, 'IPv4').changes).to.deep.equal([]);
      expect(planNftables(desired, parseNftables(renderNftables(now)), 'IPv4').changes).to.deep.equal([]);
    }
  });
});
