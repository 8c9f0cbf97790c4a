import type { Change } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import type { Writer } from './foreign-commit.ts';

/** Rules that somebody else changed, found by reading, and put right by the sync that found them. */
export interface Drift {
  /** What must be done to have back what was there. */
  readonly changes: readonly Change[];
  /** Who committed since the rules were last known; empty where the kernel does not tell. */
  readonly writers: readonly Writer[];
}

/** The Services whose rules were changed. */
export function driftedServices({ changes }: Drift): readonly ServiceName[] {
  const services = new Map<string, ServiceName>();
  for (const { service } of changes) {
    if (service !== undefined) services.set(namespacedName(service), service);
  }
  return [...services.values()];
}

/** The tables that were changed: `nat`, `filter`, `ip kube-proxy`. */
export function driftedTables({ changes }: Drift): readonly string[] {
  return [...new Set(changes.map(({ object }) => object.slice(0, object.lastIndexOf(' ')) || object))];
}

/** Processes once each, however often they committed. */
export function distinctWriters(writers: readonly Writer[]): readonly Writer[] {
  return [...new Map(writers.map((writer) => [`${writer.pid} ${writer.processName}`, writer])).values()];
}

/** Rules of others that packets meet before ours, in a chain of the kernel. */
export interface RulesInFront {
  /** Table and chain. */
  readonly chain: string;
  readonly rules: readonly string[];
}

/** What stands before the first of our jumps in the chains of a listing. */
export function rulesInFront(listing: Ruleset): readonly RulesInFront[] {
  const objects = listing.parts.flat();
  const ours = new Map<string, ReadonlySet<string>>();
  for (const { kind, table, name, lines } of objects) {
    if (kind === 'hooks') ours.set(`${table} ${name}`, new Set(lines));
  }
  return objects.flatMap(({ kind, table, name, lines, isOwned }) => {
    if (kind === 'hooks' || isOwned) return [];
    const chain = `${table} ${name}`;
    const jumps = ours.get(chain);
    const first = jumps === undefined ? -1 : lines.findIndex((line) => jumps.has(line));
    return first > 0 ? [{ chain, rules: lines.slice(0, first) }] : [];
  });
}
