import type { RulesetObject, RulesetPart, ServiceName } from '../ruleset/ruleset.ts';
import { protocolOfMap, serviceOfName } from './names.ts';
import { originOf } from './parts.ts';
import type { SplitParts } from '../ruleset/split.ts';
import { elementKeyAlone } from './spelling.ts';

/** The Service for which a line of an object exists; absent for what Services share, and where it is not known. */
export type ServiceOfLine = (object: RulesetObject, line: string) => ServiceName | undefined;

/** The Service of a whole object: what session affinity needs, and what kube-proxy made for one Service. */
export function serviceOfObject(object: RulesetObject): ServiceName | undefined {
  return object.service ?? serviceOfName(object.name);
}

/**
 * Whose a line is: of the parts that differ it is known; a listed line belongs to whoever wants its address and
 * port now, or to the Service that its comment or its chain names.
 */
export function serviceOfLine({ live, desired }: Pick<SplitParts, 'live' | 'desired'>): ServiceOfLine {
  let owners: ReadonlyMap<string, ReadonlyMap<string, ServiceName>> | undefined;
  let frontends: ReadonlyMap<string, ServiceName> | undefined;
  return (object, line) => {
    owners ??= ownersOfLines([...live, ...desired]);
    const known = owners.get(object.id)?.get(line);
    if (known !== undefined) return known;
    frontends ??= ownersOfFrontends(desired);
    return frontends.get(frontendOf(object, line)) ?? namedIn(line);
  };
}

function ownersOfLines(parts: readonly RulesetPart[]): ReadonlyMap<string, ReadonlyMap<string, ServiceName>> {
  const lines = new Map<string, Map<string, ServiceName>>();
  for (const part of parts) {
    const service = originOf(part)?.service;
    if (service === undefined) continue;
    for (const object of part) {
      if (object.isOrdered) continue;
      let known = lines.get(object.id);
      if (known === undefined) {
        known = new Map<string, ServiceName>();
        lines.set(object.id, known);
      }
      for (const line of object.lines) known.set(line, service);
    }
  }
  return lines;
}

function ownersOfFrontends(parts: readonly RulesetPart[]): ReadonlyMap<string, ServiceName> {
  const frontends = new Map<string, ServiceName>();
  for (const part of parts) {
    const service = originOf(part)?.service;
    if (service === undefined) continue;
    for (const object of part) {
      if (!hasFrontends.has(object.name)) continue;
      for (const line of object.lines) frontends.set(frontendOf(object, line), service);
    }
  }
  return frontends;
}

/** Each address and port of each service port is in one of these. */
const hasFrontends = new Set(['service-ips', 'service-nodeports', 'no-endpoint-services', 'no-endpoint-nodeports']);

/** What is dialled, from the key of an element: address, protocol and port, or only the last two for a node port. */
export function frontendOf({ name }: Pick<RulesetObject, 'name'>, line: string): string {
  const key = elementKeyAlone(name, line);
  const parts = key.split(' . ');
  const protocol = protocolOfMap(name);
  // The last part of a key in a map of endpoints is the slot.
  if (protocol !== undefined) return [...parts.slice(0, -2), protocol, ...parts.slice(-2, -1)].join(' . ');
  return parts.slice(name === 'source-ranges' ? 1 : 0).join(' . ');
}

function namedIn(line: string): ServiceName | undefined {
  const [, namespace, name] = / comment "([a-z0-9][-a-z0-9]*)\/([a-z0-9][-a-z0-9]*)/.exec(line) ?? [];
  if (namespace !== undefined && name !== undefined) return { namespace, name };
  const target = / goto (\S+)$/.exec(line)?.[1];
  return target === undefined ? undefined : serviceOfName(target);
}
