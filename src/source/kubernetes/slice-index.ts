import type { EndpointSlice, SlicesByService } from '../objects.ts';

/** Enough that each holds a few hundred Services on the largest nodes. */
const shardCount = 256;

type Shard = ReadonlyMap<string, readonly EndpointSlice[]>;

const emptyShard: Shard = new Map();

/**
 * Slices by Service, as a value: a change makes another index, which shares with this one all but the shards of the
 * Services concerned. So a change costs the same on a node of any size.
 */
export class SliceIndex implements SlicesByService {
  readonly size: number;
  readonly #shards: readonly Shard[];

  /** Without arguments: empty. */
  constructor(shards: readonly Shard[] = Array.from({ length: shardCount }, () => emptyShard)) {
    this.#shards = shards;
    this.size = shards.reduce((sum, shard) => sum + shard.size, 0);
  }

  get(service: string): readonly EndpointSlice[] | undefined {
    return this.#shards[shardOf(service)]?.get(service);
  }

  *keys(): Generator<string> {
    for (const shard of this.#shards) yield* shard.keys();
  }

  *values(): Generator<readonly EndpointSlice[]> {
    for (const shard of this.#shards) yield* shard.values();
  }

  *[Symbol.iterator](): Generator<[string, readonly EndpointSlice[]]> {
    for (const shard of this.#shards) yield* shard;
  }

  /** The index with other slices for some Services; a Service without slices is in none. */
  with(changes: Iterable<readonly [service: string, slices: readonly EndpointSlice[]]>): SliceIndex {
    const shards = [...this.#shards];
    const fresh = new Map<number, Map<string, readonly EndpointSlice[]>>();
    for (const [service, slices] of changes) {
      const place = shardOf(service);
      let shard = fresh.get(place);
      if (shard === undefined) {
        shard = new Map(shards[place]);
        fresh.set(place, shard);
        shards[place] = shard;
      }
      if (slices.length === 0) shard.delete(service);
      else shard.set(service, slices);
    }
    return new SliceIndex(shards);
  }

  changedSince(earlier: SlicesByService): readonly string[] | undefined {
    if (!(earlier instanceof SliceIndex)) return undefined;
    const changed: string[] = [];
    for (const [place, shard] of this.#shards.entries()) {
      const before = earlier.#shards[place] ?? emptyShard;
      if (before === shard) continue;
      for (const [service, slices] of shard) if (before.get(service) !== slices) changed.push(service);
      for (const service of before.keys()) if (!shard.has(service)) changed.push(service);
    }
    return changed;
  }
}

/** By the characters of the name, spread evenly (FNV-1a). */
function shardOf(service: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < service.length; index++) {
    hash = Math.imul(hash ^ service.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 16) % shardCount;
}
