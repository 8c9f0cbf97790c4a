import type { ServiceName } from '../ruleset/ruleset.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Backend, BackendPlan } from './backend.ts';

/**
 * The Services of a plan whose rules a kernel without other rules refuses, found by halving: the legacy tool says
 * only that a COMMIT failed. Takes about log2(n) trials for one culprit; empty when no Service is to blame.
 */
export async function findCulprits(
  backend: Backend,
  model: ProxyModel,
  plan: BackendPlan,
): Promise<readonly ServiceName[]> {
  const suspects = new Map<string, ServiceName>();
  for (const { service } of plan.changes) {
    if (service !== undefined) suspects.set(`${service.namespace}/${service.name}`, service);
  }
  return search(backend, model, [...suspects.values()]);
}

async function search(
  backend: Backend,
  model: ProxyModel,
  suspects: readonly ServiceName[],
): Promise<readonly ServiceName[]> {
  if (suspects.length === 0 || (await isTaken(backend, model, suspects))) return [];
  if (suspects.length === 1) return suspects;
  const middle = Math.ceil(suspects.length / 2);
  const found = await search(backend, model, suspects.slice(0, middle));
  return [...found, ...(await search(backend, model, suspects.slice(middle)))];
}

async function isTaken(backend: Backend, model: ProxyModel, services: readonly ServiceName[]): Promise<boolean> {
  const names = new Set(services.map(({ namespace, name }) => `${namespace}/${name}`));
  const servicePorts = model.servicePorts.filter(({ namespace, name }) => names.has(`${namespace}/${name}`));
  const plan = backend.plan({ parts: [] }, backend.desired({ ...model, servicePorts }));
  for (const script of plan.scripts) {
    if (!(await backend.tryLoad(script))) return false;
  }
  return true;
}
