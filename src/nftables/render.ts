import type { ProxyModel, ServicePort } from '../model/model.ts';
import { rememberParts } from '../ruleset/remembered.ts';
import { noLines, objectId } from '../ruleset/ruleset.ts';
import type { ObjectKind, Ruleset, RulesetObject, RulesetPart } from '../ruleset/ruleset.ts';
import { eachDifference } from '../ruleset/split.ts';
import { renderTemplate } from '../template.ts';
import {
  affinityContext,
  classesOf,
  elementsContext,
  hasAffinity,
  joined,
  surroundingsOf,
  tableContext,
} from './context.ts';
import type { ClassUse, Surroundings } from './context.ts';
import { endpointsMapNames, tableOf } from './names.ts';
import { parseNftables } from './parse.ts';
import { describePart } from './parts.ts';

/** The holes of `nftables/table` for elements, and the set or map each belongs to; there are maps of endpoints besides. */
const holes = {
  clusterIPs: ['set', 'cluster-ips'],
  hairpinConnections: ['set', 'hairpin-connections'],
  sourceRanges: ['set', 'source-ranges'],
  noEndpointServices: ['map', 'no-endpoint-services'],
  noEndpointNodePorts: ['map', 'no-endpoint-nodeports'],
  firewallIPs: ['map', 'firewall-ips'],
  serviceIPs: ['map', 'service-ips'],
  serviceNodePorts: ['map', 'service-nodeports'],
  clusterClasses: ['map', 'cluster-class'],
  clusterClassNodePorts: ['map', 'cluster-class-nodeports'],
  localClasses: ['map', 'local-class'],
  localClassNodePorts: ['map', 'local-class-nodeports'],
} as const satisfies Readonly<Record<string, readonly [ObjectKind, string]>>;

type Hole = keyof typeof holes;

/** Names as constants: to compare them costs less than to compare what was cut out of a text. */
const containers = new Map<string, { readonly kind: ObjectKind; readonly name: string }>(
  [...Object.values(holes), ...endpointsMapNames.map((name) => ['map', name] as const)].map(([kind, name]) => [
    name,
    { kind, name },
  ]),
);

/** The table of one family as `nft list table` would print it; loads into an empty host with `nft -f`. */
export function renderNftables(model: ProxyModel): string {
  const elements = new Map<string, string[]>();
  for (const port of model.servicePorts) {
    for (const [name, lines] of elementsOf(port)) {
      const all = elements.get(name) ?? [];
      elements.set(name, all);
      for (const line of lines) all.push(line);
    }
  }
  const surroundings = surroundingsOf(model);
  const sticky = model.servicePorts.filter(hasAffinity).map((port) => affinityContext(port, surroundings));
  const classes = distinct(model.servicePorts.map(classesOf));
  return renderTable(model, classes, {
    elements: (name) => joined([...new Set(elements.get(name))]),
    affinitySets: sticky.map((context) => renderTemplate('nftables/affinity-sets', context)).join(''),
    affinityChains: sticky.map((context) => renderTemplate('nftables/affinity-chains', context)).join(''),
  });
}

/**
 * The same table as a ruleset. Each service port is a part of it and is remembered, so that successive models cost
 * what changed between them.
 */
export function desiredNftables(model: ProxyModel): Ruleset {
  const surroundings = surroundingsOf(model);
  const key = `${model.family} ${JSON.stringify(surroundings)}`;
  const last = lastRenderings.get(key);
  lastRenderings.delete(key);
  const { parts, uses } = partsOf(model.servicePorts, last, surroundings, key);
  const base = renderTable(model, distinct(uses.keys()), { elements: () => '', affinitySets: '', affinityChains: '' });
  parts[0] = basePart(base);
  if (lastRenderings.size >= maxLastRenderings) lastRenderings.clear();
  lastRenderings.set(key, { servicePorts: model.servicePorts, parts, uses });
  return { parts };
}

interface Filling {
  readonly elements: (name: string) => string;
  readonly affinitySets: string;
  readonly affinityChains: string;
}

function renderTable(
  model: ProxyModel,
  classes: readonly ClassUse[],
  { elements, affinitySets, affinityChains }: Filling,
): string {
  const filled = Object.fromEntries(Object.entries(holes).map(([hole, [, name]]) => [hole, elements(name)])) as Record<
    Hole,
    string
  >;
  return renderTemplate('nftables/table', {
    ...tableContext(model, classes, elements),
    ...filled,
    affinitySets,
    affinityChains,
  });
}

/** The class chains of all service ports, each once, sorted. */
function distinct(uses: Iterable<readonly ClassUse[]>): ClassUse[] {
  return [...new Set([...new Set(uses)].flat())].sort(
    (left, right) => Number(left.kind > right.kind) - Number(left.kind < right.kind) || left.count - right.count,
  );
}

/** The elements of a service port by the set or map they belong to. */
function elementsOf(port: ServicePort): Map<string, string[]> {
  const elements = new Map<string, string[]>();
  for (const line of renderTemplate('nftables/service-port-elements', elementsContext(port)).split('\n')) {
    if (line === '') continue;
    const end = line.indexOf(' ');
    const name = line.slice(0, end);
    const lines = elements.get(name);
    if (lines === undefined) elements.set(name, [line.slice(end + 1)]);
    else lines.push(line.slice(end + 1));
  }
  return elements;
}

/** What a service port contributes. */
interface Contribution {
  readonly surroundings: string;
  readonly part: RulesetPart;
}

const contributions = new WeakMap<ServicePort, Contribution>();

interface Rendering {
  readonly servicePorts: readonly ServicePort[];
  /** That of the table, then one for each service port. */
  readonly parts: readonly RulesetPart[];
  /** How many service ports need which class chains. */
  readonly uses: Map<readonly ClassUse[], number>;
}

/** The last one for each key: most service ports are where they were, and to compare costs less than to look up. */
const lastRenderings = new Map<string, Rendering>();
const maxLastRenderings = 4;

/** One part for each service port behind an empty place. Takes the counts of the last rendering over. */
function partsOf(
  servicePorts: readonly ServicePort[],
  last: Rendering | undefined,
  surroundings: Surroundings,
  key: string,
) {
  const before = last?.servicePorts ?? [];
  const uses = last?.uses ?? new Map<readonly ClassUse[], number>();
  const parts = last?.parts.slice(0, 1 + servicePorts.length) ?? [[]];
  eachDifference(before, servicePorts, (place, old, port) => {
    if (old !== undefined) count(uses, classesOf(old), -1);
    if (port === undefined) return;
    count(uses, classesOf(port), 1);
    parts[1 + place] = contributionOf(port, surroundings, key).part;
  });
  return { parts, uses };
}

function count(uses: Rendering['uses'], classes: readonly ClassUse[], step: 1 | -1): void {
  const next = (uses.get(classes) ?? 0) + step;
  if (next === 0) uses.delete(classes);
  else uses.set(classes, next);
}

function contributionOf(port: ServicePort, surroundings: Surroundings, key: string): Contribution {
  const known = contributions.get(port);
  // Elements are the same wherever the node stands; only chains for session affinity look around.
  if (known !== undefined && (known.surroundings === key || !hasAffinity(port))) return known;
  const table = tableOf(port.family);
  const service = { namespace: port.namespace, name: port.name };
  const objects = [...elementsOf(port)].map(([name, lines]) => elementsObject(table, name, lines));
  const part = [...objects, ...affinityObjects(port, surroundings).map((object) => ({ ...object, service }))];
  describePart(part, { key: [port.namespace, port.name, port.portName, port.protocol].join('/'), service });
  const contribution = { surroundings: key, part };
  contributions.set(port, contribution);
  return contribution;
}

function elementsObject(table: string, name: string, lines: readonly string[]): RulesetObject {
  const container = containers.get(name);
  if (container === undefined)
    throw new Error(`unreachable: elements for ${name}, which is no set or map of the table`);
  // Field by field: what a copy by spreading brings stands in a second object.
  return {
    id: containerId(table, container),
    table,
    kind: container.kind,
    name: container.name,
    isOwned: true,
    definition: noLines,
    // An array that grew by one at a time keeps room for many more; this one stays as long as the service port.
    lines: lines.slice(),
    isOrdered: false,
    tail: noLines,
  };
}

const containerIds = new Map<string, Map<string, string>>();

/** One string for all service ports. */
function containerId(table: string, { kind, name }: { readonly kind: ObjectKind; readonly name: string }): string {
  const ids = containerIds.get(table) ?? new Map<string, string>();
  containerIds.set(table, ids);
  const id = ids.get(name) ?? objectId(table, kind, name);
  ids.set(name, id);
  return id;
}

function affinityObjects(port: ServicePort, surroundings: Surroundings): readonly RulesetObject[] {
  if (!hasAffinity(port)) return [];
  const context = affinityContext(port, surroundings);
  const sets = renderTemplate('nftables/affinity-sets', context);
  const chains = renderTemplate('nftables/affinity-chains', context);
  const objects = parseNftables(`table ${tableOf(port.family)} {\n${sets}${chains}}\n`).parts.flat();
  return objects.filter((object) => object.kind !== 'table');
}

const basePart = rememberParts(parseNftables);
