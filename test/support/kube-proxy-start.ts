import { lineKey } from '../../src/nftables/spelling.ts';
import { objectsOf } from '../../src/ruleset/ruleset.ts';
import type { Ruleset, RulesetObject } from '../../src/ruleset/ruleset.ts';

/** What kube-proxy 1.36 sends to `nft -f -`: its first sync, and a second or more later its removal of stale chains. */
export interface KubeProxyStart {
  readonly sync: string;
  readonly removal: string;
}

const baseChains = [
  ['filter-prerouting-pre-dnat', 'filter', 'prerouting', -110],
  ['filter-output-pre-dnat', 'filter', 'output', -110],
  ['filter-input', 'filter', 'input', 0],
  ['filter-forward', 'filter', 'forward', 0],
  ['filter-output', 'filter', 'output', 0],
  ['nat-prerouting', 'nat', 'prerouting', -100],
  ['nat-output', 'nat', 'output', -100],
  ['nat-postrouting', 'nat', 'postrouting', 100],
] as const;

/** In the order in which it compares their elements with what it finds. */
const tracked = [
  'cluster-ips',
  'service-ips',
  'firewall-ips',
  'no-endpoint-services',
  'no-endpoint-nodeports',
  'service-nodeports',
  'hairpin-connections',
];

/** Its other containers and its regular chains, by turns, in the order in which a full sync writes them. */
const stock = [
  ['set', 'hairpin-connections'],
  ['chain', 'masquerading'],
  ['set', 'cluster-ips'],
  ['chain', 'cluster-ips-check'],
  ['set', 'nodeport-ips'],
  ['map', 'no-endpoint-services'],
  ['map', 'no-endpoint-nodeports'],
  ['chain', 'reject-chain'],
  ['chain', 'service-endpoints-check'],
  ['chain', 'nodeport-endpoints-check'],
  ['map', 'firewall-ips'],
  ['chain', 'firewall-check'],
  ['map', 'service-ips'],
  ['map', 'service-nodeports'],
  ['chain', 'services'],
] as const;

/**
 * The scripts of a kube-proxy that starts on the table `live` in a cluster for which it wrote the table `recorded`
 * before. It writes its chains anew, compares elements of its own containers, takes every chain with a slash in its
 * name and every set `affinity-…` that it does not need for stale, and never looks at anything else.
 */
export function kubeProxyStart(recorded: Ruleset, live: Ruleset, table: string): KubeProxyStart {
  const own = byName(recorded, table);
  const found = byName(live, table);
  const isStale = ({ kind, name }: RulesetObject) => kind === 'chain' && name.includes('/') && !own.has(name);
  const staleChains = [...found.values()].filter(isStale).map(({ name }) => name);
  const staleSets = [...found.keys()].filter((name) => name.startsWith('affinity-') && !own.has(name));
  const serviceChains = [...own.values()].filter(({ kind, name }) => kind === 'chain' && name.includes('/'));
  const affinitySets = [...own.values()].filter(({ name }) => name.startsWith('affinity-'));
  const elements = tracked.map((name) => elementChanges(own.get(name), found.get(name)));
  const [addressType = ''] = own.get('cluster-ips')?.definition ?? [];
  const operations = [
    'add table TABLE { comment "rules for kube-proxy" ; }',
    ...baseChains.flatMap(([name]) => [`add chain TABLE ${name}`, `delete chain TABLE ${name}`]),
    ...baseChains.flatMap(([name, type, hook, priority]) => [
      `add chain TABLE ${name} { type ${type} hook ${hook} priority ${priority} ; }`,
      `flush chain TABLE ${name}`,
    ]),
    ...stock.filter(([kind]) => kind === 'chain').flatMap(([, name]) => ensured(own.get(name))),
    ...baseChains.flatMap(([name]) => rules(own.get(name))),
    ...stock.flatMap(([kind, name]) =>
      kind === 'chain' ? rules(own.get(name)) : container(kind, name, own.get(name), addressType),
    ),
    ...serviceChains.flatMap(ensured),
    ...elements.flatMap(({ written }) => written),
    ...affinitySets.map(definition),
    ...serviceChains.flatMap(rules),
    ...staleChains.map((name) => `flush chain TABLE ${name}`),
    ...staleSets.map((name) => `delete set TABLE ${name}`),
    ...elements.flatMap(({ leftOver }) => leftOver),
  ];
  const inTable = (lines: readonly string[]) => lines.map((line) => `${line.replace('TABLE', table)}\n`).join('');
  return { sync: inTable(operations), removal: inTable(staleChains.map((name) => `delete chain TABLE ${name}`)) };
}

function byName(ruleset: Ruleset, table: string): ReadonlyMap<string, RulesetObject> {
  const objects = [...objectsOf(ruleset).values()].filter(
    (object) => object.table === table && object.kind !== 'table',
  );
  return new Map(objects.map((object) => [object.name, object]));
}

function ensured(chain: RulesetObject | undefined): readonly string[] {
  if (chain === undefined) return [];
  const comment = chain.definition.map((line) => ` { ${line} ; }`).join('');
  return [`add chain TABLE ${chain.name}${comment}`, `flush chain TABLE ${chain.name}`];
}

function rules(chain: RulesetObject | undefined): readonly string[] {
  return (chain?.lines ?? []).map((rule) => `add rule TABLE ${chain?.name ?? ''} ${rule}`);
}

function container(kind: 'set' | 'map', name: string, own: RulesetObject | undefined, type: string): readonly string[] {
  // Where node ports answer on every address there is no set of addresses: added first, so that it can be deleted.
  if (own === undefined) return [`add ${kind} TABLE ${name} { ${type} ; }`, `delete ${kind} TABLE ${name}`];
  if (name !== 'nodeport-ips') return [definition(own)];
  const added = own.lines.map((element) => `add element TABLE ${name} { ${element} }`);
  return [definition(own), `flush set TABLE ${name}`, ...added];
}

function definition({ kind, name, definition: lines }: RulesetObject): string {
  const said = lines.filter((line) => !line.startsWith('size ')).map((line) => `${line} ;`);
  return `add ${kind} TABLE ${name} { ${said.join(' ')} }`;
}

/** Elements as they differ; one with another verdict is deleted and added. */
function elementChanges(own: RulesetObject | undefined, found: RulesetObject | undefined) {
  if (own === undefined) return { written: [], leftOver: [] };
  const { name } = own;
  const keyed = ({ lines }: RulesetObject) =>
    new Map(lines.map((line) => [lineKey(own, line).split(' : ')[0] ?? '', line]));
  const [wanted, present] = [keyed(own), found === undefined ? new Map<string, string>() : keyed(found)];
  const removal = (key: string) => `delete element TABLE ${name} { ${key} }`;
  return {
    written: [...wanted].flatMap(([key, line]) => {
      const before = present.get(key);
      if (before !== undefined && lineKey(own, before) === lineKey(own, line)) return [];
      return [...(before === undefined ? [] : [removal(key)]), `add element TABLE ${name} { ${line} }`];
    }),
    leftOver: [...present.keys()].filter((key) => !wanted.has(key)).map(removal),
  };
}
