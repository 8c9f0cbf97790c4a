import type { RulesetObject, RulesetPart, ServiceName } from '../ruleset/ruleset.ts';
import { serviceOfName } from './names.ts';
import { originOf } from './parts.ts';
import type { SplitParts } from './parts.ts';
import { elementKey } from './spelling.ts';

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
  let owners: Owners | undefined;
  return (object, line) => {
    owners ??= ownersIn([...live, ...desired]);
    const key = frontendOf(line);
    return owners.lines.get(object.id)?.get(line) ?? owners.frontends.get(key) ?? namedIn(line);
  };
}

interface Owners {
  readonly lines: ReadonlyMap<string, ReadonlyMap<string, ServiceName>>;
  readonly frontends: ReadonlyMap<string, ServiceName>;
}

function ownersIn(parts: readonly RulesetPart[]): Owners {
  const lines = new Map<string, Map<string, ServiceName>>();
  const frontends = new Map<string, ServiceName>();
  for (const part of parts) {
    const service = originOf(part)?.service;
    if (service === undefined) continue;
    for (const object of part) {
      if (object.isOrdered) continue;
      const known = lines.get(object.id) ?? new Map<string, ServiceName>();
      lines.set(object.id, known);
      for (const line of object.lines) known.set(line, service);
      if (hasFrontends.has(object.name)) for (const line of object.lines) frontends.set(frontendOf(line), service);
    }
  }
  return { lines, frontends };
}

/** Each address and port of each service port is in one of these. */
const hasFrontends = new Set(['service-ips', 'service-nodeports', 'no-endpoint-services', 'no-endpoint-nodeports']);

const frontend = /(?:^|\. )((?:[0-9a-f.:]+ \. )?(?:tcp|udp|sctp) \. \d+)/;

/** The address, protocol and port, or protocol and port, in the key of an element. */
function frontendOf(line: string): string {
  const key = elementKey(line);
  return frontend.exec(key)?.[1] ?? key;
}

function namedIn(line: string): ServiceName | undefined {
  const [, namespace, name] = / comment "([a-z0-9][-a-z0-9]*)\/([a-z0-9][-a-z0-9]*)/.exec(line) ?? [];
  if (namespace !== undefined && name !== undefined) return { namespace, name };
  const target = / goto (\S+)$/.exec(line)?.[1];
  return target === undefined ? undefined : serviceOfName(target);
}
