import { objectsOf } from '../ruleset/ruleset.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import { isServicePortChain } from './ownership.ts';

const named = /--comment "?(?:[^"]* )?([a-z0-9][-a-z0-9]*)\/([a-z0-9][-a-z0-9]*)(?::[-a-z0-9]+)?(?=[" ]|$)/;
const jump = / -j (KUBE-(?:SVC|SVL|EXT|FW|SEP)-[A-Z2-7]+)/;

/** The Service that a rule names in its comment. */
export function serviceOfRule(rule: string): ServiceName | undefined {
  const match = named.exec(rule);
  const [, namespace, name] = match ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

/**
 * The Service of each service port chain, by what its rules say, or by who jumps to it: above 1000 endpoints the
 * rules per endpoint have no comments.
 */
export function serviceIndex(...rulesets: readonly Ruleset[]): (chain: string) => ServiceName | undefined {
  const services = new Map<string, ServiceName>();
  const callers = new Map<string, string>();
  for (const ruleset of rulesets) {
    for (const { table, name, lines, isOwned } of objectsOf(ruleset).values()) {
      if (table !== 'nat' || !isOwned) continue;
      for (const line of lines) {
        const target = jump.exec(line)?.[1];
        const service = serviceOfRule(line);
        if (service !== undefined && isServicePortChain(table, name)) services.set(name, service);
        if (target === undefined) continue;
        if (service !== undefined) services.set(target, service);
        else callers.set(target, name);
      }
    }
  }
  return (chain) => {
    let current: string | undefined = chain;
    // A jump chain is at most four deep: firewall, external, policy, endpoint.
    for (let depth = 0; depth < 4 && current !== undefined; depth++) {
      const service = services.get(current);
      if (service !== undefined) return service;
      current = callers.get(current);
    }
    return undefined;
  };
}
