import { removeUnused } from '../../agent/sync.ts';
import type { Backend } from '../../agent/backend.ts';
import { LoadError } from '../../kernel/errors.ts';
import type { Plan } from '../../ruleset/plan.ts';

/**
 * Runs the scripts of a plan that removes. What a foreign rule still points to is emptied and stays, all else goes.
 * Gives the tool's words for what did not work. Throws what is not a LoadError.
 */
export async function runRemoval(backend: Backend, plan: Plan): Promise<readonly string[]> {
  for (const script of plan.scripts) {
    if (script.phase !== 'change') continue;
    try {
      await backend.load(script);
    } catch (error) {
      // While our rules are still pointed to, nothing of them can go.
      if (error instanceof LoadError) return [error.message];
      throw error;
    }
  }
  return removeUnused(backend, plan.scripts);
}

/** The objects that go with a plan that removes. */
export function removedObjects({ changes }: Plan): readonly string[] {
  return [...new Set(changes.map(({ object }) => object))];
}
