import { expect } from 'chai';
import { IdleMemory } from '../../src/agent/idle-memory.ts';
import { FakeClock } from './fake-clock.ts';

const mebibyte = 1024 * 1024;

describe('IdleMemory', () => {
  it('gives back what work left, once it is quiet', async () => {
    const clock = new FakeClock();
    const memory = new IdleMemory(clock);
    const left = Array.from({ length: 1_000_000 }, (_, index) => ({ index, list: [index, index, index, index] }));
    const before = process.memoryUsage().heapUsed;
    left.length = 0;
    memory.worked();
    await clock.advance(5_000);
    expect(process.memoryUsage().heapUsed).to.be.below(before - 60 * mebibyte);
  });

  it('waits until work in a row is over, and for nothing once it is stopped', async () => {
    const clock = new FakeClock();
    const memory = new IdleMemory(clock);
    const kept: number[] = [];
    for (let count = 0; count < 3; count++) {
      memory.worked();
      await clock.advance(4_000);
      kept.push(clock.pending);
    }
    memory.stop();
    kept.push(clock.pending);
    expect(kept).to.deep.equal([1, 1, 1, 0]);
  });
});
