import { expect } from 'chai';
import { unheardLoads } from '../../src/agent/unheard-loads.ts';
import type { Script } from '../../src/ruleset/plan.ts';
import { FakeKernel } from '../support/fake-kernel.ts';

describe('agent/unheard-loads', () => {
  const script = (length: number): Script => ({
    ...{ tool: 'iptables-restore', phase: 'change' },
    segments: [{ text: '*nat\n' }, { text: `${'#'.repeat(length)}\n` }, { text: 'COMMIT\n' }],
  });

  it('must hear short loads and does not listen to long ones', async () => {
    const heard: string[] = [];
    let way = 'alone';
    const on =
      (name: string) =>
      async <T>(work: () => Promise<T>) => {
        way = name;
        return work().finally(() => (way = 'alone'));
      };
    const monitor = {
      listening: () => Promise.resolve(),
      deafTo: on('deaf'),
      mustHear: on('heard'),
      stop: () => undefined,
    };
    const backend = new FakeKernel().backend();
    const load = (what: Script) => {
      heard.push(way);
      return backend.load(what);
    };
    const watched = unheardLoads({ ...backend, load }, () => monitor);
    await watched.load(script(1_000));
    await watched.load(script(1_000_000));
    await watched.load(script(10));
    await unheardLoads({ ...backend, load }, () => undefined).load(script(1_000_000));
    expect(heard).to.deep.equal(['heard', 'deaf', 'heard', 'alone']);
  });
});
