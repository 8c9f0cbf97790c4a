import { expect } from 'chai';
import { SliceIndex } from '../../src/source/kubernetes/slice-index.ts';
import type { EndpointSlice } from '../../src/source/objects.ts';

const slice = (name: string): EndpointSlice => ({ metadata: { name }, addressType: 'IPv4', endpoints: [] });

describe('slice index', () => {
  it('holds what a Map holds, after any changes, and tells what is other than before', () => {
    // A fixed sequence that is no pattern: Services come, change and go.
    let seed = 7;
    const random = (below: number) => (seed = Math.imul(seed, 48271) & 0x7fffffff) % below;
    let index = new SliceIndex();
    const map = new Map<string, readonly EndpointSlice[]>();
    for (let round = 0; round < 400; round++) {
      const earlier = index;
      const changes = new Map<string, readonly EndpointSlice[]>();
      for (let count = random(4); count >= 0; count--) {
        const service = `default/svc-${random(900)}`;
        changes.set(service, random(3) === 0 ? [] : [slice(`${service}-${round}`)]);
      }
      const expected = [...changes].filter(([service, now]) => now.length > 0 || map.has(service));
      index = index.with(changes);
      for (const [service, now] of changes) {
        if (now.length === 0) map.delete(service);
        else map.set(service, now);
      }
      expect([...(index.changedSince(earlier) ?? [])].toSorted()).to.deep.equal(
        expected.map(([service]) => service).toSorted(),
      );
      expect(index.size).to.equal(map.size);
    }
    expect(map.size).to.be.greaterThan(200);
    expect([...index].toSorted(byService)).to.deep.equal([...map].toSorted(byService));
    expect([...index.keys()].toSorted()).to.deep.equal([...map.keys()].toSorted());
    expect([...index.values()].every((slices) => [...map.values()].includes(slices))).to.equal(true);
    for (const [service, slices] of map) expect(index.get(service)).to.equal(slices);
  });

  it('is a value: what was taken before stays as it was', () => {
    const before = new SliceIndex().with([['default/web', [slice('web-1')]]]);
    const after = before.with([['default/web', []]]);
    expect(before.get('default/web')).to.have.length(1);
    expect(after.get('default/web')).to.equal(undefined);
    expect(after.changedSince(before)).to.deep.equal(['default/web']);
    expect(before.changedSince(after)).to.deep.equal(['default/web']);
  });

  it('cannot tell what is other than in a Map', () => {
    expect(new SliceIndex().changedSince(new Map())).to.equal(undefined);
  });
});

function byService([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
