import { expect } from 'chai';
import type { Ruleset, RulesetPart } from '../../src/ruleset/ruleset.ts';
import { eachDifference, splitParts } from '../../src/ruleset/split.ts';

/** Parts are told apart by identity. */
const [pa, pb, pc, pd]: readonly [RulesetPart, RulesetPart, RulesetPart, RulesetPart] = [[], [], [], []];
const ruleset = (...parts: readonly RulesetPart[]): Ruleset => ({ parts });

describe('split parts', () => {
  const cases = [
    { what: 'nothing of two equal rulesets', live: ruleset(pa, pb), desired: ruleset(pa, pb), gone: [], come: [] },
    { what: 'one that was replaced', live: ruleset(pa, pb, pc), desired: ruleset(pa, pd, pc), gone: [pb], come: [pd] },
    { what: 'one that came in between', live: ruleset(pa, pc), desired: ruleset(pa, pb, pc), gone: [], come: [pb] },
    { what: 'one that went', live: ruleset(pa, pb, pc), desired: ruleset(pa, pc), gone: [pb], come: [] },
    { what: 'none that only moved', live: ruleset(pa, pb, pc), desired: ruleset(pc, pa, pb), gone: [], come: [] },
    { what: 'everything of strangers', live: ruleset(pa, pb), desired: ruleset(pc), gone: [pa, pb], come: [pc] },
  ];
  for (const { what, live, desired, gone, come } of cases) {
    it(`names ${what}`, () => {
      const split = splitParts(live, desired);
      expect(split.live.map((one) => live.parts.indexOf(one))).to.deep.equal(
        gone.map((one) => live.parts.indexOf(one)),
      );
      expect(split.desired.map((one) => desired.parts.indexOf(one))).to.deep.equal(
        come.map((one) => desired.parts.indexOf(one)),
      );
      expect([...split.common].length).to.equal(live.parts.length - gone.length);
    });
  }
});

describe('each difference', () => {
  it('calls back for what was replaced, what came and what went', () => {
    const seen: unknown[] = [];
    eachDifference(['a', 'b', 'c'], ['a', 'x', 'c', 'd'], (...place) => seen.push(place));
    eachDifference(['a', 'b'], ['a'], (...place) => seen.push(place));
    expect(seen).to.deep.equal([
      [1, 'b', 'x'],
      [3, undefined, 'd'],
      [1, 'b', undefined],
    ]);
  });
});
