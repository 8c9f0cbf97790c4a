import { expect } from 'chai';
import { Runner } from '../../src/agent/runner.ts';
import type { RunOutcome } from '../../src/agent/runner.ts';
import { FakeClock, settle } from './fake-clock.ts';

const minute = 60_000;
const hour = 60 * minute;

describe('agent/runner', () => {
  /** Runs start at these times, relative to the start of the test; outcomes are taken from the list, then `done`. */
  function setUp(outcomes: (RunOutcome | Error)[] = [], runMs = 0) {
    const clock = new FakeClock();
    const begin = clock.now();
    const starts: number[] = [];
    const errors: unknown[] = [];
    let active = 0;
    const runner = new Runner({
      minIntervalMs: 1000,
      retryIntervalMs: 30_000,
      maxIntervalMs: hour,
      clock,
      onError: (error) => errors.push(error),
      run: async () => {
        starts.push(clock.now() - begin);
        expect(++active, 'runs at the same time').to.equal(1);
        if (runMs > 0)
          await new Promise<void>((resolve) => {
            clock.after(runMs, resolve);
          });
        active--;
        const outcome = outcomes.shift() ?? 'done';
        if (outcome instanceof Error) throw outcome;
        return outcome;
      },
    });
    return { clock, runner, starts, errors };
  }

  it('runs a first request at once and nothing without one', async () => {
    const { clock, runner, starts } = setUp();
    await clock.advance(10 * minute);
    expect(starts).to.deep.equal([]);
    runner.request();
    await clock.advance(0);
    expect(starts).to.deep.equal([10 * minute]);
  });

  it('makes one run of a burst and keeps the distance from the end of a run to the next start', async () => {
    const { clock, runner, starts } = setUp([], 400);
    for (let i = 0; i < 100; i++) runner.request();
    await clock.advance(100);
    for (let i = 0; i < 100; i++) runner.request();
    await clock.advance(10_000);
    expect(starts).to.deep.equal([0, 1400]);
  });

  it('keeps no distance from a run that nobody asked for and that wrote nothing', async () => {
    const { clock, runner, starts } = setUp(['done', 'checked']);
    runner.request();
    await clock.advance(5_000);
    runner.requestWithin(0);
    await clock.advance(100);
    runner.request();
    await clock.advance(1_000);
    expect(starts).to.deep.equal([0, 5_000, 5_100]);
  });

  it('runs again for a request that comes during a run', async () => {
    const { clock, runner, starts } = setUp([], 5000);
    runner.request();
    await clock.advance(1000);
    runner.request();
    await clock.advance(minute);
    expect(starts).to.deep.equal([0, 6000]);
  });

  it('runs once an hour when nobody asks, counted from the end of the last run', async () => {
    const { clock, runner, starts } = setUp([], 1000);
    runner.request();
    await clock.advance(minute);
    runner.request();
    await clock.advance(3 * hour);
    expect(starts).to.deep.equal([0, minute, minute + hour + 1000, minute + 2 * hour + 2000]);
  });

  it('tries a failed run again, later each time, up to the retry interval', async () => {
    const { clock, runner, starts } = setUp(Array<RunOutcome>(8).fill('failed'));
    runner.request();
    await clock.advance(3 * minute);
    expect(starts).to.deep.equal([0, 1000, 3000, 7000, 15_000, 31_000, 61_000, 91_000, 121_000]);
  });

  it('tries again within a second while a lock is held, and starts over after success', async () => {
    const { clock, runner, starts } = setUp([...Array<RunOutcome>(6).fill('busy'), 'done', 'busy']);
    runner.request();
    await clock.advance(10_000);
    expect(starts).to.deep.equal([0, 100, 300, 700, 1500, 2500, 3500]);
    runner.request();
    await clock.advance(10_000);
    expect(starts.slice(7)).to.deep.equal([10_000, 10_100]);
  });

  it('does not let requests shorten the waits for a lock', async () => {
    const { clock, runner, starts } = setUp(Array<RunOutcome>(3).fill('busy'));
    runner.request();
    for (let i = 0; i < 99; i++) {
      await clock.advance(1);
      runner.request();
    }
    expect(starts).to.deep.equal([0]);
    await clock.advance(1);
    expect(starts).to.deep.equal([0, 100]);
  });

  it('lets a request in after a failure, at the least interval', async () => {
    const { clock, runner, starts } = setUp(Array<RunOutcome>(4).fill('failed'));
    runner.request();
    await clock.advance(7000);
    expect(starts).to.deep.equal([0, 1000, 3000, 7000]);
    runner.request();
    await clock.advance(2000);
    expect(starts).to.deep.equal([0, 1000, 3000, 7000, 8000]);
  });

  it('takes an exception for a failure, reports it and goes on', async () => {
    const error = new Error('a mistake of ours');
    const { clock, runner, starts, errors } = setUp([error]);
    runner.request();
    await clock.advance(5000);
    expect(starts).to.deep.equal([0, 1000]);
    expect(errors).to.deep.equal([error]);
  });

  it('runs within a given time whatever the least interval', async () => {
    const { clock, runner, starts } = setUp();
    runner.request();
    await clock.advance(0);
    runner.requestWithin(5000);
    runner.requestWithin(200);
    await clock.advance(minute);
    expect(starts).to.deep.equal([0, 200]);
  });

  it('stops after the run that is under way', async () => {
    const { clock, runner, starts } = setUp([], 3000);
    runner.request();
    await clock.advance(1);
    runner.request();
    let isStopped = false;
    const stopping = runner.stop().then(() => {
      isStopped = true;
    });
    await settle();
    expect(isStopped).to.equal(false);
    await clock.advance(3000);
    await stopping;
    await clock.advance(2 * hour);
    runner.request();
    await clock.advance(2 * hour);
    expect(starts).to.deep.equal([0]);
  });

  it('never asks for a timer that Node would fire at once', async () => {
    const clock = new FakeClock();
    let runs = 0;
    const runner = new Runner({
      minIntervalMs: 2 ** 40,
      retryIntervalMs: Infinity,
      maxIntervalMs: Infinity,
      clock,
      onError: () => undefined,
      run: () => {
        runs++;
        return Promise.resolve('done');
      },
    });
    runner.requestWithin(NaN);
    runner.request();
    await clock.advance(0);
    runner.request();
    await clock.advance(2 ** 33);
    expect(runs).to.equal(1);
    for (const delay of clock.delays) expect(delay).to.be.within(0, 2 ** 31 - 1);
    await clock.advance(2 ** 40);
    expect(runs).to.equal(2);
  });

  it('refuses intervals that are no times', () => {
    const options = {
      minIntervalMs: NaN,
      retryIntervalMs: 1,
      maxIntervalMs: 1,
      clock: new FakeClock(),
      onError: () => undefined,
      run: () => Promise.resolve('done' as const),
    };
    expect(() => new Runner(options)).to.throw('minIntervalMs is NaN');
    expect(() => new Runner({ ...options, minIntervalMs: 1, maxIntervalMs: -1 })).to.throw('maxIntervalMs is -1');
  });
});
