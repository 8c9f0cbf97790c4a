import { noLines, objectId } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetObject } from '../ruleset/ruleset.ts';
import { ownership } from './ownership.ts';
import type { Ownership } from './ownership.ts';

/** Text that is no ruleset as `iptables-save` prints it. */
export class RulesetSyntaxError extends Error {
  override readonly name = 'RulesetSyntaxError';
}

/**
 * Reads what `iptables-save` prints, or what we render. Here alone is decided what is ours. Of a chain that we
 * share two objects are made: our rules in it (`hooks`), and the whole chain as it is, which is not ours.
 */
export function parseIptables(text: string): Ruleset {
  const objects = new Map<string, ParsedChain>();
  let table: string | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line === 'COMMIT' || line.startsWith('#')) {
      if (line.includes('is incompatible, use')) throw syntaxError(index, line);
    } else if (line.startsWith('*')) {
      const name = line.slice(1).trim();
      table = tables.find((known) => known === name) ?? name;
    } else if (table === undefined) {
      throw syntaxError(index, line);
    } else if (line.startsWith(':')) {
      const [name = '', policy = '-'] = line.slice(1).split(' ');
      chainIn(objects, table, name).policy = policy;
    } else {
      // Counters may precede a rule: iptables-save -c.
      const rule = line.startsWith('[') ? line.slice(line.indexOf('] ') + 2) : line;
      if (!rule.startsWith('-A ')) throw syntaxError(index, line);
      const end = rule.indexOf(' ', 3);
      chainIn(objects, table, end === -1 ? rule.slice(3) : rule.slice(3, end)).rules.push(rule);
    }
  }
  return { parts: [[...objects.values()].flatMap(objectsOf)] };
}

/** As constants: what is cut out of each of many small texts is a string of its own. */
const tables = ['nat', 'filter', 'mangle', 'raw', 'security'];

interface ParsedChain {
  readonly table: string;
  readonly name: string;
  /** `-` for a user-defined chain. */
  policy: string;
  readonly rules: string[];
}

function chainIn(chains: Map<string, ParsedChain>, table: string, name: string): ParsedChain {
  const key = `${table} ${name}`;
  const existing = chains.get(key);
  if (existing !== undefined) return existing;
  const chain: ParsedChain = { table, name, policy: '-', rules: [] };
  chains.set(key, chain);
  return chain;
}

function objectsOf(chain: ParsedChain): RulesetObject[] {
  const { table, policy } = chain;
  // An array that grew by one at a time keeps room for many more; this one stays as long as the rules.
  const rules = chain.rules.slice();
  const kind = ownership(table, chain.name);
  const { id, name } = identityOf(chain, kind);
  const definition = policy === '-' ? noLines : [policy];
  const object = (overrides: Partial<RulesetObject>): RulesetObject => ({
    id,
    table,
    kind: 'chain',
    name,
    isOwned: false,
    definition,
    lines: rules,
    isOrdered: true,
    tail: noLines,
    ...overrides,
  });
  switch (kind.owner) {
    case 'us':
      return [object({ isOwned: true, definition: noLines, ...orderOf(rules, kind) })];
    case 'shared':
      return [...hooksIn(object, rules, kind), object({})];
    case 'somebody':
      return [object({})];
  }
}

type Identity = Pick<RulesetObject, 'id' | 'name'>;

const dispatchChains = new Map<string, Identity>();

/** Each service port has rules in the chains that Services share: those are named once for all. */
function identityOf({ table, name }: ParsedChain, { owner, isOrdered }: Ownership): Identity {
  const id = objectId(table, 'chain', name);
  if (owner !== 'us' || isOrdered) return { id, name };
  const known = dispatchChains.get(id) ?? { id, name };
  dispatchChains.set(id, known);
  return known;
}

/** Our own rules in a chain that holds others' too. */
function hooksIn(
  object: (overrides: Partial<RulesetObject>) => RulesetObject,
  rules: readonly string[],
  { isOurRule }: Ownership,
): RulesetObject[] {
  const lines = rules.filter((rule) => isOurRule(rule));
  if (lines.length === 0) return [];
  const { table, name } = object({});
  const id = objectId(table, 'hooks', name);
  return [object({ id, kind: 'hooks', isOwned: true, definition: noLines, lines, isOrdered: false })];
}

function orderOf(rules: readonly string[], { isOrdered, isTail }: Ownership): Partial<RulesetObject> {
  if (isOrdered) return { isOrdered };
  let end = rules.length;
  while (end > 0 && isTail(rules[end - 1] ?? '')) end--;
  return {
    isOrdered,
    lines: end === rules.length ? rules : rules.slice(0, end),
    tail: end === rules.length ? noLines : rules.slice(end),
  };
}

function syntaxError(index: number, line: string): RulesetSyntaxError {
  const shown = line.length > 120 ? `${line.slice(0, 120)}…` : line;
  return new RulesetSyntaxError(
    `line ${index + 1} is not what iptables-save prints: ${JSON.stringify(shown)}; expected a table, chain or rule`,
  );
}
