import type { Script, Segment } from '../ruleset/plan.ts';
import { objectsOf } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetObject } from '../ruleset/ruleset.ts';
import { separateAbandoned } from './abandoned.ts';
import type { AttributedChange } from './attribution.ts';
import { isRedefined } from './compare.ts';
import { elementKeyAlone } from './spelling.ts';
import { serviceOfObject } from './service.ts';

/** The two rulesets that the changes lie between. */
export interface ScriptScope {
  readonly live: Ruleset;
  readonly desired: Ruleset;
  readonly table: string;
}

/**
 * Input for `nft -f` that makes the changes in one transaction, so packets meet the old ruleset or the new one. Chains
 * that elements will lead to are made in a script before it.
 * What nothing uses any more goes in a script of its own, later: kernels before 6.2 take a moment to notice that
 * a removed element no longer leads to a chain.
 * A table that is asleep is woken up once all is in it: the kernel makes no hooks in the transaction that does.
 */
export function nftablesScripts(changes: readonly AttributedChange[], scope: ScriptScope): Script[] {
  const { table } = scope;
  if (changes.some(({ kind, object }) => kind === 'delete' && object.kind === 'table')) {
    return [{ tool: 'nft', phase: 'change', segments: [{ text: `delete table ${table}\n` }] }];
  }
  const wakening = changes.filter(({ kind, object }) => kind === 'change' && object.kind === 'table');
  const { now, later } = separateAbandoned(changes.filter((change) => !wakening.includes(change)));
  const ahead = madeAhead(now);
  const prepared = changeSegments(ahead.map(withoutElements), scope);
  const rest = now.flatMap((change) => (ahead.includes(change) ? onlyElements(change) : [change]));
  const segments = changeSegments(rest, scope);
  const unused = changes.flatMap(({ kind, object }) => (kind === 'delete' ? [object] : []));
  const cleanUp = [...later.flatMap((change) => elements('delete', change)), ...cleanUpSegments(unused, table)];
  return [
    ...(prepared.length === 0 ? [] : [{ tool: 'nft', phase: 'change', segments: prepared } as const]),
    ...(segments.length === 0 ? [] : [{ tool: 'nft', phase: 'change', segments } as const]),
    ...wakening.map(({ object }) => ({ tool: 'nft', phase: 'change', segments: [definition(object)] }) as const),
    ...(cleanUp.length === 0 ? [] : [{ tool: 'nft', phase: 'clean-up', segments: cleanUp } as const]),
  ];
}

/**
 * Chains that are new to a table of ours that stands, and the sets they use: nothing leads to them before elements do.
 * A packet that is under way while the kernel takes a transaction meets the rules from before it, but elements from
 * after it: led to a chain of the same transaction it would find no rule there, and be refused. Where other chains
 * change too, as when a table is taken over, one transaction is worth more.
 */
function madeAhead(changes: readonly AttributedChange[]): readonly AttributedChange[] {
  const added = changes.filter(({ kind, object }) => kind === 'add' && object.kind !== 'table');
  const isSteady = changes.every(({ kind, object }) => {
    if (object.kind === 'chain') return kind !== 'change' && object.definition.length === 0;
    // A map for all that is new: the table was another's, or is new itself.
    return kind !== 'add' || serviceOfObject(object) !== undefined;
  });
  const leads = changes.some(({ kind, object }) => kind === 'change' && object.kind === 'map');
  return isSteady && leads && added.some(({ object }) => object.kind === 'chain') ? added : [];
}

function withoutElements(change: AttributedChange): AttributedChange {
  return change.object.kind === 'chain' ? change : { ...change, groups: [] };
}

/** What is left to do for what was made ahead. */
function onlyElements(change: AttributedChange): AttributedChange[] {
  return change.object.kind === 'chain' ? [] : [{ ...change, kind: 'change' }];
}

function changeSegments(changes: readonly AttributedChange[], scope: ScriptScope): Segment[] {
  const { table } = scope;
  const written = changes.filter(({ kind }) => kind !== 'delete');
  const { removed, remade, rewritten } = remake(written, scope);
  const isNew = (change: AttributedChange) => change.kind === 'add' || remade.has(change.object.id);
  const sets = written.filter(({ object }) => object.kind === 'set' || object.kind === 'map');
  const chains = [
    ...written.filter(({ object }) => object.kind === 'chain'),
    ...rewritten.filter((object) => !written.some((change) => change.object.id === object.id)).map(asRewritten),
  ];
  return [
    ...written.filter(({ object }) => object.kind === 'table').map(({ object }) => definition(object)),
    ...removed,
    ...sets.filter(isNew).map(({ object }) => definition(object)),
    ...chains.filter(isNew).map(({ object }) => definition(object)),
    ...chains.flatMap((change) =>
      rules(change.object, isNew(change) ? [] : [`flush chain ${table} ${change.object.name}`]),
    ),
    ...sets.filter((change) => !isNew(change)).flatMap((change) => elements('delete', change)),
    ...sets.flatMap((change) => elements('add', remade.has(change.object.id) ? whole(change) : change)),
  ];
}

/**
 * What must be removed and made again in the same transaction because it cannot be changed: base chains with
 * another hook or priority, sets and maps of another type. A set can be removed once no rule uses it.
 */
function remake(written: readonly AttributedChange[], { live, desired, table }: ScriptScope) {
  const wrong = written.filter((change) => change.object.kind !== 'table' && isRedefined(change));
  const wrongChains = wrong.filter(({ object }) => object.kind === 'chain').map(({ object }) => object);
  const wrongSets = wrong.filter(({ object }) => object.kind !== 'chain').map(({ object }) => object);
  const users =
    wrongSets.length === 0
      ? []
      : [...objectsOf(live).values()].filter((chain) => chain.table === table && usesOneOf(chain, wrongSets));
  const rewritten = users.flatMap(({ id }) => objectsOf(desired).get(id) ?? []);
  return {
    removed: [
      ...wrongChains.map(({ name }) => ({ text: `delete chain ${table} ${name}\n` })),
      ...users.map(({ name }) => ({ text: `flush chain ${table} ${name}\n` })),
      ...wrongSets.map(({ kind, name }) => ({ text: `delete ${kind} ${table} ${name}\n` })),
    ],
    remade: new Set(wrong.map(({ object }) => object.id)),
    rewritten,
  };
}

function usesOneOf(chain: RulesetObject, sets: readonly RulesetObject[]): boolean {
  return (
    chain.kind === 'chain' && chain.lines.some((line) => sets.some(({ name }) => line.split(' ').includes(`@${name}`)))
  );
}

function asRewritten(object: RulesetObject): AttributedChange {
  return { kind: 'change', object, removed: [], added: object.lines, groups: [] };
}

function whole(change: AttributedChange): AttributedChange {
  return { ...change, groups: [{ removed: [], added: change.object.lines }] };
}

function definition(object: RulesetObject): Segment {
  const { kind, table, name, definition: lines } = object;
  const what = kind === 'table' ? `table ${table}` : `${kind} ${table} ${name}`;
  const properties = lines.map((line) => (line.endsWith(';') ? line : `${line};`)).join(' ');
  return owned(object, `add ${what}${properties === '' ? '' : ` { ${properties} }`}\n`);
}

function rules(chain: RulesetObject, before: readonly string[]): Segment[] {
  const lines = [...before, ...chain.lines.map((rule) => `add rule ${chain.table} ${chain.name} ${rule}`)];
  return lines.length === 0 ? [] : [owned(chain, lines.map((line) => `${line}\n`).join(''))];
}

function owned(object: RulesetObject, text: string): Segment {
  const service = serviceOfObject(object);
  return service === undefined ? { text } : { text, service };
}

/** One command, with a line for each element: nft names the line of an element that the kernel refuses. */
function elements(verb: 'add' | 'delete', { object, groups }: AttributedChange): Segment[] {
  const segments = groups.flatMap(({ service, removed, added }): Segment[] => {
    const lines = verb === 'add' ? added : removed.map((line) => elementKeyAlone(object.name, line));
    if (lines.length === 0) return [];
    return [{ text: lines.map((line) => `\t${line},\n`).join(''), ...(service === undefined ? {} : { service }) }];
  });
  if (segments.length === 0) return [];
  return [{ text: `${verb} element ${object.table} ${object.name} {\n` }, ...segments, { text: '}\n' }];
}

function cleanUpSegments(unused: readonly RulesetObject[], table: string): Segment[] {
  const chains = unused.filter(({ kind }) => kind === 'chain');
  const sets = unused.filter(({ kind }) => kind === 'set' || kind === 'map');
  return [
    ...chains.map((chain) => owned(chain, `flush chain ${table} ${chain.name}\n`)),
    ...sets.map((set) => owned(set, `delete ${set.kind} ${table} ${set.name}\n`)),
    ...chains.map((chain) => owned(chain, `delete chain ${table} ${chain.name}\n`)),
  ];
}
