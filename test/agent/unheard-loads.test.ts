import { expect } from 'chai';
import { unheardLoads } from '../../src/agent/unheard-loads.ts';
import type { Script } from '../../src/ruleset/plan.ts';
import { FakeKernel } from '../support/fake-kernel.ts';

describe('agent/unheard-loads', () => {
  const script = (length: number): Script => ({
    ...{ tool: 'iptables-restore', phase: 'change' },
    segments: [{ text: '*nat\n' }, { text: `${'#'.repeat(length)}\n` }, { text: 'COMMIT\n' }],
  });

  it('listens to short loads and not to long ones', async () => {
    const heard: string[] = [];
    let isDeaf = false;
    const monitor = {
      listening: () => Promise.resolve(),
      deafTo: async <T>(work: () => Promise<T>) => {
        isDeaf = true;
        return work().finally(() => (isDeaf = false));
      },
      stop: () => undefined,
    };
    const backend = new FakeKernel().backend();
    const load = (what: Script) => {
      heard.push(isDeaf ? 'deaf' : 'heard');
      return backend.load(what);
    };
    const watched = unheardLoads({ ...backend, load }, () => monitor);
    await watched.load(script(1_000));
    await watched.load(script(1_000_000));
    await watched.load(script(10));
    await unheardLoads({ ...backend, load }, () => undefined).load(script(1_000_000));
    expect(heard).to.deep.equal(['heard', 'deaf', 'heard', 'heard']);
  });
});
