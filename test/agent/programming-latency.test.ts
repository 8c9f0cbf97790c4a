import { expect } from 'chai';
import { ProgrammingLatency } from '../../src/agent/programming-latency.ts';

describe('programming latency', () => {
  const at = (seconds: number) => new Date(Date.UTC(2026, 0, 2) + seconds * 1000);
  const changed = (service: string, seconds: number, addressType = 'IPv4') => ({
    service,
    addressType,
    changedAt: at(seconds).toISOString(),
  });
  let latency: ProgrammingLatency;

  beforeEach(() => {
    latency = new ProgrammingLatency('IPv4', at(0));
  });

  it('counts from the first change of a Service that waits, once', () => {
    latency.note([changed('shop/web', 3), changed('shop/web', 1), changed('shop/cart', 2)]);
    latency.begun();
    expect(latency.programmed(at(5))).to.deep.equal([4, 3]);
    expect(latency.programmed(at(6))).to.deep.equal([]);
  });

  it('leaves out the other family, slices that are gone, and what changed before the agent began', () => {
    latency.note([changed('shop/web', 1, 'IPv6'), changed('shop/old', -60), changed('shop/gone', 1)]);
    latency.note([{ service: 'shop/gone', addressType: 'IPv4' }]);
    latency.begun();
    expect(latency.programmed(at(5))).to.deep.equal([]);
  });

  it('does not take for programmed what came while a sync was under way', () => {
    latency.note([changed('shop/web', 1)]);
    latency.begun();
    latency.note([changed('shop/web', 2), changed('shop/cart', 2)]);
    expect(latency.programmed(at(3))).to.deep.equal([2]);
    latency.begun();
    expect(latency.programmed(at(6))).to.deep.equal([4, 4]);
  });

  it('counts from the first change after a sync that failed', () => {
    latency.note([changed('shop/web', 1)]);
    latency.begun();
    latency.note([changed('shop/web', 2)]);
    latency.begun();
    expect(latency.programmed(at(6))).to.deep.equal([5]);
  });
});
