import { expect } from 'chai';
import { watchHost } from '../../src/agent/host-watch.ts';
import type { FollowHandlers } from '../../src/kernel/follow.ts';
import type { RunResult } from '../../src/kernel/run.ts';
import { FakeClock, settle } from './fake-clock.ts';

describe('agent/host-watch', () => {
  let clock: FakeClock;
  let monitor: FollowHandlers;
  let told: string[];
  let errors: unknown[];
  /** Looks at the addresses that did not come to their end. */
  let looks: ((answer: Partial<RunResult>) => void)[];
  let watch: { stop(): void };

  beforeEach(() => {
    clock = new FakeClock();
    [told, errors, looks] = [[], [], []];
    watch = watchHost({
      clock,
      follow: (_tool, _args, handlers) => {
        monitor = handlers;
        return { stop: () => undefined };
      },
      run: () =>
        new Promise((resolve) =>
          looks.push((answer) => {
            resolve(answer as RunResult);
          }),
        ),
      onAddresses: (addresses) => told.push(addresses.join(' ')),
      onError: (error) => errors.push(error),
    });
  });

  const end = async (answer: Partial<RunResult>) => {
    looks.shift()?.(answer);
    await settle();
  };
  const found = (...addresses: string[]) =>
    end({
      exitCode: 0,
      stdout: JSON.stringify([{ addr_info: addresses.map((local) => ({ family: 'inet', local })) }]),
    });
  const killed = () => end({ signal: 'SIGKILL', stdout: '', stderr: '', argv: ['ip'] });

  it('tells what is there at first, and what is another after a notice', async () => {
    await clock.advance(0);
    await found('10.0.0.1');
    await clock.advance(3_000);
    await found('10.0.0.1');
    monitor.onLine('2: eth0 inet 10.0.0.2/24');
    await clock.advance(1_000);
    await found('10.0.0.1', '10.0.0.2');
    expect(told).to.deep.equal(['10.0.0.1', '10.0.0.1 10.0.0.2']);
  });

  it('looks again after a look that did not work, without a further notice', async () => {
    await clock.advance(0);
    await killed();
    await clock.advance(3_000);
    await killed();
    await clock.advance(60_000);
    await found('10.0.0.1');
    expect(told).to.deep.equal(['10.0.0.1']);
    expect(errors).to.have.lengthOf(2);
    expect(String(errors[0])).to.include('ended by SIGKILL');
  });

  it('lets no slow look have the last word', async () => {
    await clock.advance(0);
    monitor.onLine('2: eth0 inet 10.0.0.2/24');
    await clock.advance(60_000);
    expect(looks).to.have.lengthOf(1);
    await found('10.0.0.1');
    await clock.advance(1_000);
    await found('10.0.0.2');
    expect(told).to.deep.equal(['10.0.0.1', '10.0.0.2']);
  });

  it('looks although notices come without end', async () => {
    await clock.advance(0);
    await found('10.0.0.1');
    await clock.advance(3_000);
    await found('10.0.0.1');
    for (let notice = 0; notice < 20; notice += 1) {
      monitor.onLine('2: eth0 inet 10.0.0.2/24');
      await clock.advance(100);
    }
    expect(looks).to.have.lengthOf(1);
  });

  it('looks now and then where there are no notices, and no more once it is stopped', async () => {
    await clock.advance(0);
    await found('10.0.0.1');
    await clock.advance(3_000);
    await found('10.0.0.1');
    monitor.onEnd('ip: not installed');
    await clock.advance(6_000);
    await found('10.0.0.2');
    watch.stop();
    monitor.onEnd('ip: not installed');
    await clock.advance(60_000);
    expect(told).to.deep.equal(['10.0.0.1', '10.0.0.2']);
    expect(looks).to.deep.equal([]);
    expect(clock.pending).to.equal(0);
  });
});
