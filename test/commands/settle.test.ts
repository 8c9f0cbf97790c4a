import { expect } from 'chai';
import type { Backend, BackendPlan } from '../../src/agent/backend.ts';
import { settle } from '../../src/commands/settle.ts';
import type { ProxyModel } from '../../src/model/model.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';

/** Each reading finds the next of these: whether the rules are right. What is written is counted. */
function backendThatFinds(...readings: ('right' | 'wrong' | 'unremovable')[]) {
  const written: string[] = [];
  let reading = -1;
  const plan = (): BackendPlan => {
    const found = readings[Math.min(reading, readings.length - 1)];
    const phase = found === 'wrong' ? 'change' : 'clean-up';
    return {
      changes: [],
      scripts: found === 'right' ? [] : [{ tool: 'iptables-restore', phase, segments: [] }],
      after: { parts: [] },
    };
  };
  const backend = {
    mode: 'iptables',
    list: (): Promise<Ruleset> => {
      reading += 1;
      return Promise.resolve({ parts: [] });
    },
    desired: () => ({ parts: [] }),
    plan,
    planCleanup: plan,
    load: ({ phase }: { phase: string }) => {
      written.push(phase);
      return Promise.resolve();
    },
  } as unknown as Backend;
  return { backend, written, readings: () => reading + 1 };
}

const model = {} as ProxyModel;
const pause = () => Promise.resolve();

describe('settle', () => {
  it('reads once and writes nothing where all is right', async () => {
    const { backend, written, readings } = backendThatFinds('right');
    await settle(backend, model, false, pause);
    expect([written, readings()]).to.deep.equal([[], 1]);
  });

  it('reads again what it wrote', async () => {
    const { backend, written, readings } = backendThatFinds('wrong', 'right');
    await settle(backend, model, false, pause);
    expect([written, readings()]).to.deep.equal([['change'], 2]);
  });

  it('writes again where somebody else undid it meanwhile', async () => {
    const { backend, written, readings } = backendThatFinds('wrong', 'wrong', 'wrong', 'wrong', 'wrong', 'right');
    await settle(backend, model, false, pause);
    expect([written, readings()]).to.deep.equal([['change', 'change', 'change'], 6]);
  });

  it('leaves what cannot be removed to the next time', async () => {
    const { backend, written } = backendThatFinds('wrong', 'unremovable');
    await settle(backend, model, false, pause);
    expect(written).to.deep.equal(['change']);
  });

  it('gives up on somebody who never stops', async () => {
    const { backend } = backendThatFinds('wrong');
    const error: unknown = await settle(backend, model, false, pause).catch((thrown: unknown) => thrown);
    expect(String(error)).to.contain('somebody else changes the same rules all the time');
  });
});
