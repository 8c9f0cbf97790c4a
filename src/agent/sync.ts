import { isConflict, isRefusal, LoadError } from '../kernel/errors.ts';
import type { ProxyModel } from '../model/model.ts';
import { serviceAtLine, withoutLine } from '../ruleset/plan.ts';
import type { Plan, Script } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import type { Backend } from './backend.ts';
import { findCulprits } from './culprits.ts';
import type { RefusedSync } from './culprits.ts';

/** A Service whose rules the kernel did not take; what it had before stays in place. */
export interface Refusal {
  readonly service: ServiceName;
  /** The tool's words. */
  readonly reason: string;
}

/** What a sync did. */
export interface SyncResult {
  /** What differed before; empty changes mean that nothing was executed. */
  readonly plan: Plan;
  /** The live ruleset as it is now. */
  readonly live: Ruleset;
  readonly refusals: readonly Refusal[];
  /** Removal of what nothing uses any more that did not work, in the tool's words. It is tried again next time. */
  readonly leftovers: readonly string[];
}

export interface SyncOptions {
  /** The live ruleset, when it is known; otherwise it is listed. */
  readonly live?: Ruleset;
  /** Services that must not be touched, for instance because the kernel refused them before. */
  readonly isWithheld?: (service: ServiceName) => boolean;
  /** Leave out what the kernel refuses and apply the rest; otherwise a refusal is thrown. */
  readonly keepGoing: boolean;
}

/** Somebody else may commit between our reading and our writing; each time we read again. */
const maxConflicts = 5;

/**
 * Makes live equal desired, once. Nothing is executed when nothing differs. Throws LoadError when the kernel cannot
 * be written, RefusedError when it refuses a rule and we may not go on without it.
 */
export async function sync(backend: Backend, model: ProxyModel, options: SyncOptions): Promise<SyncResult> {
  const desired = backend.desired(model);
  const refused = new Map<string, Refusal>();
  const isWithheld = (service: ServiceName) =>
    refused.has(namespacedName(service)) || (options.isWithheld?.(service) ?? false);
  let live = options.live ?? (await backend.list());
  let first: Plan | undefined;
  for (let conflicts = 0; ;) {
    const plan = backend.plan(live, desired, isWithheld);
    first ??= plan;
    let { scripts } = plan;
    let failure = await loadChanges(backend, scripts);
    if (failure !== undefined && plan.apart !== undefined && isAboutRules(failure)) {
      scripts = plan.apart;
      failure = await loadChanges(backend, scripts);
    }
    if (failure === undefined) {
      const leftovers = await removeUnused(backend, scripts);
      return { plan: first, live: plan.after, refusals: [...refused.values()], leftovers };
    }
    if (isRefusal(failure.error)) {
      const refusals = await refusalsOf(backend, { model, plan, desired }, failure, options);
      if (refusals.every(({ service }) => refused.has(namespacedName(service)))) throw failure.error;
      for (const refusal of refusals) refused.set(namespacedName(refusal.service), refusal);
      if (!options.keepGoing) throw new RefusedError([...refused.values()], failure.error);
    } else if (!isConflict(failure.error) || ++conflicts > maxConflicts) {
      throw failure.error;
    }
    // A table of the script may have been committed before the one that failed.
    live = await backend.list();
  }
}

/** The kernel refuses rules of these Services. */
export class RefusedError extends Error {
  readonly refusals: readonly Refusal[];

  constructor(refusals: readonly Refusal[], cause: LoadError) {
    const names = refusals.map(({ service, reason }) => `Service ${namespacedName(service)}: ${reason}`);
    super(`The kernel refuses rules of ${names.join('; ')}. Nothing of the refused table was changed.`, { cause });
    this.name = 'RefusedError';
    this.refusals = refusals;
  }
}

interface Failure {
  readonly script: Script;
  readonly error: LoadError;
}

function isAboutRules({ error }: Failure): boolean {
  return isRefusal(error) || isConflict(error) || error.failure.kind === 'busy';
}

async function loadChanges(backend: Backend, scripts: readonly Script[]): Promise<Failure | undefined> {
  for (const script of scripts) {
    if (script.phase !== 'change') continue;
    const error = await failureOf(backend, script);
    if (error !== undefined) return { script, error };
  }
  return undefined;
}

/** Somebody who points at more of our chains than this is met with patience: the rest is tried at the next sync. */
const maxUnremovable = 20;

/** Best effort, after all else: a foreign rule may still point to what we no longer need. That stays, the rest goes. */
export async function removeUnused(backend: Backend, scripts: readonly Script[]): Promise<string[]> {
  const failures: string[] = [];
  for (const planned of scripts) {
    if (planned.phase !== 'clean-up') continue;
    let script: Script | undefined = planned;
    while (script !== undefined && failures.length < maxUnremovable) {
      const failure = await failureOf(backend, script);
      if (failure !== undefined) failures.push(failure.message);
      const line = failure?.failure.line;
      script = line === undefined ? undefined : withoutLine(script, line);
    }
  }
  return failures;
}

async function failureOf(backend: Backend, script: Script): Promise<LoadError | undefined> {
  try {
    await backend.load(script);
    return undefined;
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
}

/** Whose rules were refused: by the line that the tool names, or by trial where it names none. */
async function refusalsOf(
  backend: Backend,
  refused: RefusedSync,
  { script, error }: Failure,
  { keepGoing }: SyncOptions,
): Promise<Refusal[]> {
  const { line, message } = error.failure;
  const named = line === undefined ? undefined : serviceAtLine(script, line);
  if (named !== undefined) return [{ service: named, reason: message }];
  const culprits = await findCulprits(backend, refused, { mayTryLive: keepGoing });
  return culprits.map((service) => ({ service, reason: message }));
}
