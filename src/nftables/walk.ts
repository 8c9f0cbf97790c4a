import { objectsOf } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetObject } from '../ruleset/ruleset.ts';
import type { BaseChain, Hook, Program, WalkRule, WalkTable } from '../ruleset/walk-program.ts';
import { readElements } from './rule-elements.ts';
import type { Elements } from './rule-elements.ts';
import { Words } from './rule-reader.ts';
import { meaningOf } from './rule-words.ts';
import { parseRule } from './rule.ts';
import type { Rule } from './rule.ts';
import { isDormant, priorityNumber } from './spelling.ts';
import { runRule } from './walk-rule.ts';
import type { Collections } from './walk-evaluate.ts';

const hooks = new Map<string, Hook>(
  (['prerouting', 'input', 'forward', 'output', 'postrouting'] as const).map((hook) => [hook, hook]),
);

/**
 * Makes tables executable, foreign ones among them. Tables of families that do not carry IP packets and
 * dormant ones are left out.
 */
export function nftablesProgram(ruleset: Ruleset): Program {
  const tables = new Map<string, WalkTable & { readonly collections: Map<string, Elements> }>();
  const baseChains: BaseChain[] = [];
  const dormant = new Set<string>();
  for (const object of objectsOf(ruleset).values()) {
    if (object.kind === 'table' && isDormant(object.definition)) dormant.add(object.table);
    if (!/^(?:ip|ip6|inet) /.test(object.table) || dormant.has(object.table)) continue;
    const table = tables.get(object.table) ?? { name: object.table, chains: new Map(), collections: new Map() };
    tables.set(object.table, table);
    if (object.kind === 'set' || object.kind === 'map') table.collections.set(object.name, collectionOf(object));
    if (object.kind !== 'chain') continue;
    const rules = [...object.lines, ...object.tail].map((line) => executable(parseRule(line), table.collections));
    const chain = { table, name: object.name, rules };
    table.chains.set(object.name, chain);
    const base = baseOf(object);
    if (base !== undefined) baseChains.push({ ...base, chain });
  }
  return { baseChains };
}

function executable(rule: Rule, collections: Collections): WalkRule {
  return {
    line: rule.line,
    run: (state) => runRule(rule, state, collections),
    meaning: (branch) => meaningOf(rule, branch),
  };
}

/** `type nat hook prerouting priority dstnat + 5; policy accept;` */
function baseOf({ table, definition }: RulesetObject): Omit<BaseChain, 'chain'> | undefined {
  const text = definition.join(' ');
  const [, type, hookName = '', priority = ''] =
    /\btype (\w+) hook (\w+)(?: device \S+)? priority (-?\w+(?: [+-] \d+)?)/.exec(text) ?? [];
  const hook = hooks.get(hookName);
  if (hook === undefined) return undefined;
  return {
    hook,
    priority: priorityNumber(priority),
    isNat: type === 'nat',
    policy: /\bpolicy drop\b/.test(text) ? 'drop' : 'accept',
    ...(table.startsWith('inet ') ? {} : { isV6: table.startsWith('ip6 ') }),
  };
}

const empty: Elements = { exact: new Map(), ranged: [] };

/** Sets that rules fill hold other clients than the one walked here. */
function collectionOf({ definition, lines, tail }: RulesetObject): Elements {
  const text = definition.join(' ');
  if (/\bflags [\w, ]*\bdynamic\b/.test(text)) return empty;
  const key = /\btype(?:of)? ([^:;{]*)/.exec(text)?.[1] ?? '';
  const kinds = key.split(' . ').map((kind) => kind.trim());
  return readElements(new Words([...lines, ...tail].join(', ')), (part) =>
    /^inet_proto|l4proto|protocol|nexthdr/.test(kinds[part] ?? ''),
  );
}
