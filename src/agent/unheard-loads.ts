import type { Monitor } from '../kernel/monitor.ts';
import type { Script } from '../ruleset/plan.ts';
import type { Backend } from './backend.ts';

/** From so many characters on, following a script costs more than to read the rules once it is loaded. */
const longScript = 500_000;

/**
 * The same backend; nobody listens while it loads what is long, since to follow it costs as much as to load it. What is
 * short must be heard: so a listener that hears nothing any more is noticed.
 */
export function unheardLoads(backend: Backend, monitor: () => Monitor | undefined): Backend {
  return {
    ...backend,
    load: (script) => {
      const work = () => backend.load(script);
      const listener = monitor();
      if (listener === undefined) return work();
      return isLong(script) ? listener.deafTo(work) : listener.mustHear(work);
    },
  };
}

function isLong({ segments }: Script): boolean {
  let length = 0;
  for (const { text } of segments) length += text.length;
  return length >= longScript;
}
