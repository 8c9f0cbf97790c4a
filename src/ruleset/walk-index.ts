import type { WalkChain, WalkRule, WalkState } from './walk-program.ts';

/** Positions of rules by what they demand of the packet. */
interface Index {
  readonly byDestination: ReadonlyMap<string, readonly number[]>;
  readonly byPort: ReadonlyMap<number, readonly number[]>;
  readonly others: readonly number[];
}

const indexes = new WeakMap<WalkChain, Index>();
/** Below this, looking at every rule is cheaper than an index. */
const worthAnIndex = 8;
/** The positions of all rules of a short chain, by its length. */
const allPositions = Array.from({ length: worthAnIndex }, (_, length) =>
  Array.from({ length }, (__, position) => position),
);

/**
 * The positions from `from` on of the rules of a chain that can match a packet, in order. Dispatch chains hold a
 * rule for every Service; only those for the packet's own destination or port are looked at.
 */
export function candidates(chain: WalkChain, state: WalkState, from: number): readonly number[] {
  const positions = allPositions[chain.rules.length] ?? indexedPositions(chain, state);
  return from === 0 ? positions : positions.filter((position) => position >= from);
}

function indexedPositions(chain: WalkChain, state: WalkState): readonly number[] {
  let index = indexes.get(chain);
  if (index === undefined) {
    index = buildIndex(chain.rules);
    indexes.set(chain, index);
  }
  const own = index.byDestination.get(state.destination.text);
  const ports = index.byPort.get(state.port);
  if (own === undefined && ports === undefined) return index.others;
  return [...(own ?? []), ...(ports ?? []), ...index.others].sort((left, right) => left - right);
}

function buildIndex(rules: readonly WalkRule[]): Index {
  const byDestination = new Map<string, number[]>();
  const byPort = new Map<number, number[]>();
  const others: number[] = [];
  rules.forEach(({ only }, position) => {
    if (only?.destination !== undefined) listAt(byDestination, only.destination).push(position);
    else if (only?.port !== undefined) listAt(byPort, only.port).push(position);
    else others.push(position);
  });
  return { byDestination, byPort, others };
}

function listAt<Key>(lists: Map<Key, number[]>, key: Key): number[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}
