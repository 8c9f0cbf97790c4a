import { isRefusal } from '../kernel/errors.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Plan } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import type { Backend } from './backend.ts';

/** A sync that the kernel refused without a word about which rule it meant. */
export interface RefusedSync {
  readonly model: ProxyModel;
  readonly plan: Plan;
  readonly desired: Ruleset;
}

/**
 * The Services whose rules a kernel refuses, found by halving: the legacy tool says only that a COMMIT failed. Takes
 * about log2(n) trials for one culprit; empty when no Service is to blame. Trials go to a kernel without rules; where
 * there is none to be had (a container may not make namespaces) and we may go on, they go to the live one, which
 * takes a table whole or not at all.
 */
export async function findCulprits(
  backend: Backend,
  refused: RefusedSync,
  { mayTryLive }: { readonly mayTryLive: boolean },
): Promise<readonly ServiceName[]> {
  const suspects = new Map<string, ServiceName>();
  for (const { service } of refused.plan.changes) {
    if (service !== undefined) suspects.set(namespacedName(service), service);
  }
  try {
    return await search([...suspects.values()], (services) => isTakenAlone(backend, refused.model, services));
  } catch (error) {
    if (!mayTryLive) throw error;
    const all = new Set(suspects.keys());
    return search([...suspects.values()], (services) => isTakenLive(backend, refused.desired, services, all));
  }
}

type Trial = (services: readonly ServiceName[]) => Promise<boolean>;

async function search(suspects: readonly ServiceName[], isTaken: Trial): Promise<readonly ServiceName[]> {
  if (suspects.length === 0 || (await isTaken(suspects))) return [];
  if (suspects.length === 1) return suspects;
  const middle = Math.ceil(suspects.length / 2);
  const found = await search(suspects.slice(0, middle), isTaken);
  return [...found, ...(await search(suspects.slice(middle), isTaken))];
}

async function isTakenAlone(backend: Backend, model: ProxyModel, services: readonly ServiceName[]): Promise<boolean> {
  const names = new Set(services.map(namespacedName));
  const servicePorts = model.servicePorts.filter((port) => names.has(namespacedName(port)));
  const plan = backend.plan({ parts: [] }, backend.desired({ ...model, servicePorts }));
  for (const script of plan.scripts) {
    if (!(await backend.tryLoad(script))) return false;
  }
  return true;
}

/** What is taken stays: it was to be written anyway. */
async function isTakenLive(
  backend: Backend,
  desired: Ruleset,
  services: readonly ServiceName[],
  suspects: ReadonlySet<string>,
): Promise<boolean> {
  const tried = new Set(services.map(namespacedName));
  const isWithheld = (service: ServiceName) =>
    suspects.has(namespacedName(service)) && !tried.has(namespacedName(service));
  const plan = backend.plan(await backend.list(), desired, isWithheld);
  try {
    for (const script of plan.apart ?? plan.scripts) if (script.phase === 'change') await backend.load(script);
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}
