import type { Backend } from './backend.ts';
import type { SyncStage } from './metrics.ts';
import type { Clock } from './runner.ts';

/** A backend that notes how long its stages take. */
export interface TimedBackend extends Backend {
  /** Milliseconds by stage, so far. */
  readonly stages: Map<SyncStage, number>;
  /** Scripts that the kernel took. */
  loads(): number;
  /** Notes the time of one more piece of work. */
  time<T>(stage: SyncStage, work: () => T): T;
}

/** The same backend with a stopwatch, for one sync. */
export function timedBackend(backend: Backend, clock: Pick<Clock, 'now'>): TimedBackend {
  const stages = new Map<SyncStage, number>();
  let loads = 0;
  const note = (stage: SyncStage, start: number) => {
    stages.set(stage, (stages.get(stage) ?? 0) + clock.now() - start);
  };
  const time = <T>(stage: SyncStage, work: () => T): T => {
    const start = clock.now();
    const result = work();
    if (!(result instanceof Promise)) note(stage, start);
    // Whoever awaits the result learns of a failure; here it only ends the stage.
    else {
      const end = () => {
        note(stage, start);
      };
      result.then(end, end);
    }
    return result;
  };
  return {
    ...backend,
    stages,
    loads: () => loads,
    time,
    desired: (model) => time('render', () => backend.desired(model)),
    plan: (live, desired, isWithheld) => time('plan', () => backend.plan(live, desired, isWithheld)),
    list: () => time('list', () => backend.list()),
    listing: (known) => time('list', () => backend.listing(known)),
    parse: (text) => time('list', () => backend.parse(text)),
    load: async (script) => {
      await time('load', () => backend.load(script));
      loads += 1;
    },
  };
}
