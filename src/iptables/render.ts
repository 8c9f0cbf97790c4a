import type { ProxyModel, ServicePort } from '../model/model.ts';
import { rememberParts } from '../ruleset/remembered.ts';
import type { Ruleset, RulesetObject, RulesetPart, ServiceName } from '../ruleset/ruleset.ts';
import { eachDifference } from '../ruleset/split.ts';
import { renderTemplate } from '../template.ts';
import {
  filterContext,
  filterServicePortContext,
  hasFilterRules,
  natContext,
  natServicePortContext,
  surroundingsOf,
} from './context.ts';
import type { Surroundings } from './context.ts';
import { parseIptables } from './parse.ts';

export interface IptablesOptions {
  /** Write the rules that count packets with nfacct; the counters must exist in the kernel. */
  readonly counters: boolean;
}

/** What one service port contributes to each part of the text. */
interface Fragment {
  readonly nat: string;
  readonly filter: string;
}

/** The rules of one family as `iptables-save` would print them; loads into an empty host with `--noflush`. */
export function renderIptables(model: ProxyModel, options: IptablesOptions): string {
  const surroundings = surroundingsOf(model, options);
  const fragments = model.servicePorts.map((port) => renderServicePort(port, surroundings));
  const join = (part: keyof Fragment) => fragments.map((fragment) => fragment[part]).join('');
  return renderTables(model, options, { nat: join('nat'), filter: join('filter') });
}

/**
 * The same rules as a ruleset. Rendering and parsing are remembered per service port, so that successive models
 * cost what changed between them, and objects that did not change are the same references.
 */
export function desiredIptables(model: ProxyModel, options: IptablesOptions): Ruleset {
  const surroundings = surroundingsOf(model, options);
  const key = `${model.family} ${JSON.stringify(surroundings)}`;
  const last = lastRenderings.get(key);
  lastRenderings.delete(key);
  const parts = last?.parts.slice(0, 1 + model.servicePorts.length) ?? [[]];
  eachDifference(last?.servicePorts ?? [], model.servicePorts, (place, _, port) => {
    if (port !== undefined) parts[1 + place] = servicePortPart(port, surroundings, key);
  });
  parts[0] = basePart(renderTables(model, options, emptyFragment));
  if (lastRenderings.size >= maxLastRenderings) lastRenderings.clear();
  lastRenderings.set(key, { servicePorts: model.servicePorts, parts });
  return { parts };
}

interface Rendering {
  readonly servicePorts: readonly ServicePort[];
  /** That of the tables, then one for each service port. */
  readonly parts: readonly RulesetPart[];
}

/** The last one for each key: most service ports are where they were, and to compare costs less than to look up. */
const lastRenderings = new Map<string, Rendering>();
const maxLastRenderings = 4;

const emptyFragment: Fragment = { nat: '', filter: '' };

function renderTables(model: ProxyModel, options: IptablesOptions, { nat, filter }: Fragment): string {
  return (
    renderTemplate('iptables/filter', { ...filterContext(model, options), rules: filter }) +
    renderTemplate('iptables/nat', { ...natContext(model), rules: nat })
  );
}

function renderServicePort(port: ServicePort, surroundings: Surroundings): Fragment {
  return {
    nat: renderTemplate('iptables/service-port-nat', natServicePortContext(port, surroundings)),
    filter: hasFilterRules(port) ? renderTemplate('iptables/service-port-filter', filterServicePortContext(port)) : '',
  };
}

const servicePortParts = new WeakMap<ServicePort, { readonly surroundings: string; readonly part: RulesetPart }>();

function servicePortPart(port: ServicePort, surroundings: Surroundings, key: string): RulesetPart {
  const known = servicePortParts.get(port);
  if (known?.surroundings === key) return known.part;
  const { nat, filter } = renderServicePort(port, surroundings);
  const service = { namespace: port.namespace, name: port.name };
  const { parts } = parseIptables(`*nat\n${nat}*filter\n${filter}`);
  const part = parts.flat().map((object) => (object.isOrdered ? withService(object, service) : object));
  servicePortParts.set(port, { surroundings: key, part });
  return part;
}

/** V8 gives each copy by spreading of an object this wide a hidden class of its own, larger than the object. */
function withService(object: RulesetObject, service: ServiceName): RulesetObject {
  const { id, table, kind, name, isOwned, definition, lines, isOrdered, tail } = object;
  return { id, table, kind, name, isOwned, definition, lines, isOrdered, tail, service };
}

const basePart = rememberParts(parseIptables);
