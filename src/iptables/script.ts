import type { Script, Segment } from '../ruleset/plan.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import { objectId, objectsOf } from '../ruleset/ruleset.ts';
import type { AttributedChange } from './attribution.ts';
import { kubeletSharedChain } from './ownership.ts';
import { serviceOfRule } from './service.ts';

/** Which tool a script is for. */
export interface IptablesTarget {
  readonly family: 'IPv4' | 'IPv6';
  /** The nf_tables variant loads many chains fastest in short commits; legacy replaces the whole table at each. */
  readonly variant: 'nft' | 'legacy';
}

/** Chains in one COMMIT on the nf_tables variant, which looks chains up in a list. */
const chainsPerCommit = 300;

/**
 * Input for `iptables-restore --noflush` that makes the changes, in an order in which every prefix is safe, because
 * each table commits by itself: first new chains, which nothing points to yet; then what refuses or accepts packets;
 * then, in one commit, the chains in use, the dispatch rules and the jumps from kernel chains; then what refuses
 * no more. Chains that nothing needs any more go in a script of their own, which may fail: a foreign rule that
 * jumps to one of them must not stop the rest.
 */
export function iptablesScripts(
  found: readonly AttributedChange[],
  { live, desired }: { readonly live: Ruleset; readonly desired: Ruleset },
  target: IptablesTarget,
): Script[] {
  const changes = found.map((change) => resentWhole(change, desired));
  const tool = target.family === 'IPv6' ? 'ip6tables-restore' : 'iptables-restore';
  const written = changes.filter((change) => change.kind !== 'delete' || change.object.kind === 'hooks');
  const nat = written.filter((change) => change.object.table === 'nat').toSorted(byRank);
  const filter = written.filter((change) => change.object.table === 'filter').toSorted(byRank);
  const [blocks, rest] = target.variant === 'nft' ? inBlocks(nat) : [[], nat];

  const segments = [
    ...blocks.flatMap((block) => table('nat', block.flatMap(put))),
    ...table('filter', [...declareShared(filter, live), ...filter.flatMap(put)]),
    ...table('nat', [...rest.flatMap(take), ...rest.flatMap(put)]),
    ...table('filter', filter.flatMap(take)),
  ];
  const deleted = changes.filter((change) => change.kind === 'delete' && change.object.kind === 'chain');
  const removals = [...new Set(deleted.map((change) => change.object.table))].flatMap((name) =>
    removal(
      name,
      deleted.filter((change) => change.object.table === name),
    ),
  );
  return [
    ...(segments.length === 0 ? [] : [{ tool, phase: 'change', segments } as const]),
    ...(removals.length === 0 ? [] : [{ tool, phase: 'clean-up', segments: removals } as const]),
  ];
}

/** Callees before callers: a rule can only be added when the chain it jumps to exists. */
const ranks = [
  'KUBE-MARK-MASQ',
  'KUBE-POSTROUTING',
  'KUBE-SEP-',
  'KUBE-SVC-',
  'KUBE-SVL-',
  'KUBE-EXT-',
  'KUBE-FW-',
  'KUBE-NODEPORTS',
  'KUBE-',
];

function rank(change: AttributedChange): number {
  if (change.object.kind === 'hooks') return change.object.name.startsWith('KUBE-') ? ranks.length : ranks.length + 1;
  return ranks.findIndex((prefix) => change.object.name.startsWith(prefix));
}

function byRank(left: AttributedChange, right: AttributedChange): number {
  return rank(left) - rank(right);
}

/** New service port chains in blocks, when there are so many that one commit would be slow; and all the rest. */
function inBlocks(changes: readonly AttributedChange[]): [AttributedChange[][], AttributedChange[]] {
  const isNew = (change: AttributedChange) =>
    change.kind === 'add' && change.object.isOrdered && change.object.kind === 'chain';
  const fresh = changes.filter(isNew);
  if (fresh.length <= chainsPerCommit) return [[], [...changes]];
  const blocks: AttributedChange[][] = [];
  for (let start = 0; start < fresh.length; start += chainsPerCommit) {
    blocks.push(fresh.slice(start, start + chainsPerCommit));
  }
  return [blocks, changes.filter((change) => !isNew(change))];
}

/**
 * The same scripts as one with a single COMMIT, which takes all or nothing and costs half; absent when they are about
 * more than one table, or remove nothing.
 */
export function inOneCommit(scripts: readonly Script[]): Script | undefined {
  const [change, cleanUp] = scripts;
  if (change === undefined || cleanUp === undefined) return undefined;
  const [first, ...others] = [...change.segments, ...cleanUp.segments].filter(({ text }) => text.startsWith('*'));
  if (others.length !== 1 || others[0]?.text !== first?.text) return undefined;
  return { ...change, segments: [...change.segments.slice(0, -1), ...cleanUp.segments.slice(1)] };
}

function table(name: string, content: readonly Segment[]): Segment[] {
  return content.length === 0 ? [] : [{ text: `*${name}\n` }, ...content, { text: 'COMMIT\n' }];
}

// The kubelet's chain is made when it is missing, but never declared when it exists: that would empty it.
function declareShared(changes: readonly AttributedChange[], live: Ruleset): Segment[] {
  const isUsed = changes.some((change) => change.added.some((line) => line.includes(kubeletSharedChain)));
  const isMissing = isUsed && !objectsOf(live).has(objectId('filter', 'chain', kubeletSharedChain));
  return isMissing ? [{ text: `:${kubeletSharedChain} - [0:0]\n` }] : [];
}

/** Writes a chain that is new or ours alone whole; adds single rules to one that is in use and shared by Services. */
function put(change: AttributedChange): Segment[] {
  const { object, kind, added, service } = change;
  if (object.kind === 'hooks') {
    // Each insertion goes to the top, so the last rule is inserted first.
    return added.length === 0 ? [] : [{ text: lines(added.toReversed().map(inserted)) }];
  }
  if (kind === 'delete') return [];
  const owner = service === undefined ? {} : { service };
  if (isWritten(change)) {
    const declared = { text: `:${object.name} - [0:0]\n`, ...owner };
    return [declared, ...ruleSegments([...object.lines, ...object.tail], owner, (line) => line)];
  }
  const tail = new Set(object.tail);
  return [
    ...ruleSegments(added.filter((line) => !tail.has(line)).toReversed(), owner, inserted),
    ...ruleSegments(
      added.filter((line) => tail.has(line)),
      owner,
      (line) => line,
    ),
  ];
}

/** Takes single rules out of a chain that is in use and shared. */
function take(change: AttributedChange): Segment[] {
  const { object, removed, service } = change;
  if ((object.kind === 'chain' && isWritten(change)) || removed.length === 0) return [];
  return ruleSegments(removed, service === undefined ? {} : { service }, (line) => line.replace('-A ', '-D '));
}

/** The chain is declared, which empties it, and gets all its rules. */
function isWritten({ kind, object }: AttributedChange): boolean {
  return kind === 'add' || object.isOrdered;
}

/** Deleting a rule by its text costs a look at the whole chain; beyond so many it is cheaper to send the chain anew. */
const maxSingleDeletions = 100;

function resentWhole(change: AttributedChange, desired: Ruleset): AttributedChange {
  if (change.object.isOrdered || change.object.kind !== 'chain' || change.removed.length <= maxSingleDeletions)
    return change;
  const object = objectsOf(desired).get(change.object.id);
  return object === undefined ? change : { ...change, kind: 'add', object, added: [...object.lines, ...object.tail] };
}

function inserted(line: string): string {
  return line.replace(/^-A (\S+)/, '-I $1 1');
}

function ruleSegments(
  rules: readonly string[],
  owner: { readonly service?: ServiceName },
  written: (rule: string) => string,
): Segment[] {
  if (rules.length === 0) return [];
  if (owner.service !== undefined) return [{ text: lines(rules.map(written)), ...owner }];
  return rules.map((rule) => {
    const service = serviceOfRule(rule);
    return { text: `${written(rule)}\n`, ...(service === undefined ? {} : { service }) };
  });
}

/** All emptied before any is removed: they may call each other. */
function removal(name: string, deleted: readonly AttributedChange[]): Segment[] {
  const each = (write: (chain: string) => string) =>
    deleted.map(({ object, service }) => ({
      text: write(object.name),
      ...(service === undefined ? {} : { service }),
    }));
  return table(name, [...each((chain) => `:${chain} - [0:0]\n`), ...each((chain) => `-X ${chain}\n`)]);
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}
