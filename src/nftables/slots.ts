import type { Ruleset, RulesetObject, RulesetPart } from '../ruleset/ruleset.ts';
import { endpointsMapNames, tableOf } from './names.ts';
import { splitParts } from '../ruleset/split.ts';
import type { SplitParts } from '../ruleset/split.ts';
import { describePart, originOf } from './parts.ts';
import { elementKey } from './spelling.ts';

/**
 * The desired ruleset with each endpoint in the slot where it is live, as far as slots stay dense: which slot an
 * endpoint has does not matter, and to leave it there makes a change small. When one leaves, the last takes its place.
 * And how the two then differ.
 */
export function withLiveSlots(
  live: Ruleset,
  desired: Ruleset,
): { readonly wanted: Ruleset; readonly split: SplitParts } {
  const remembered = withRemembered(live, desired);
  const split = splitParts(live, remembered);
  if (split.live.length === 0 || split.desired.length === 0) return { wanted: remembered, split };
  const byKey = new Map(split.live.map((part) => [originOf(part)?.key, part]));
  const listed = new Listed(split.live.filter((part) => originOf(part) === undefined));
  const aligned = split.desired.map((part) => {
    const key = originOf(part)?.key;
    if (key === undefined) return part;
    const counterpart = byKey.get(key);
    return alignPart(part, counterpart === undefined ? listed : new Listed([counterpart]));
  });
  return { wanted: withParts(remembered, split.desired, aligned), split: { ...split, desired: aligned } };
}

/** The ruleset with others in place of some of its parts, which are given in its order. */
function withParts(ruleset: Ruleset, before: readonly RulesetPart[], after: readonly RulesetPart[]): Ruleset {
  if (before.every((part, index) => part === after[index])) return ruleset;
  const parts = ruleset.parts.slice();
  let next = 0;
  for (let index = 0; index < parts.length; index++) {
    if (parts[index] === before[next]) parts[index] = after[next++] ?? [];
  }
  return { parts };
}

/** What was made of a desired part when it last went live. */
const alignments = new WeakMap<RulesetPart, RulesetPart>();

function withRemembered(live: Ruleset, desired: Ruleset): Ruleset {
  const [before, wanted] = [live.parts, desired.parts];
  let inLive: ReadonlySet<RulesetPart> | undefined;
  let parts: RulesetPart[] | undefined;
  for (let index = 0; index < wanted.length; index++) {
    const part = wanted[index];
    if (part === undefined || part === before[index]) continue;
    const aligned = alignments.get(part);
    if (aligned === undefined) continue;
    if (before[index] !== aligned && !(inLive ??= new Set(before)).has(aligned)) continue;
    parts ??= wanted.slice();
    parts[index] = aligned;
  }
  return parts === undefined ? desired : { parts };
}

const slotMaps = new Set(endpointsMapNames);

function alignPart(part: RulesetPart, listed: Listed): RulesetPart {
  const origin = originOf(part);
  const objects = part.map((object) => {
    if (!slotMaps.has(object.name)) return object;
    const lines = alignLines(object, listed);
    return lines === object.lines ? object : { ...object, lines };
  });
  if (origin === undefined || objects.every((object, index) => object === part[index])) return part;
  describePart(objects, origin);
  alignments.set(part, objects);
  return objects;
}

function alignLines(object: RulesetObject, listed: Listed): readonly string[] {
  if (listed.hasAll(object)) return object.lines;
  const wanted = new Map<string, string[]>();
  for (const line of object.lines) {
    const { frontend, value } = readSlot(line);
    const values = wanted.get(frontend);
    if (values === undefined) wanted.set(frontend, [value]);
    else values.push(value);
  }
  const lines = [...wanted].flatMap(([frontend, values]) =>
    arrange(values, listed.slots(object, frontend)).map((value, slot) => `${frontend} . ${slot} : ${value}`),
  );
  return lines.every((line, index) => line === object.lines[index]) ? object.lines : lines;
}

/** The values, those that are live among them where they are, the others in the slots left over. */
function arrange(values: readonly string[], live: ReadonlyMap<number, string>): readonly string[] {
  const left = new Map<string, number>();
  for (const value of values) left.set(value, (left.get(value) ?? 0) + 1);
  const take = (value: string): boolean => {
    const count = left.get(value) ?? 0;
    if (count > 0) left.set(value, count - 1);
    return count > 0;
  };
  const kept = values.map((_, slot) => {
    const value = live.get(slot);
    return value !== undefined && take(value) ? value : undefined;
  });
  const others = values.filter(take);
  return kept.map((value) => value ?? others.shift() ?? '');
}

interface Slot {
  readonly frontend: string;
  readonly slot: number;
  readonly value: string;
}

/** `10.96.0.1 . 80 . 2 : 10.244.1.3 . 8080` */
function readSlot(line: string): Slot {
  const colon = line.indexOf(' : ');
  const dot = line.lastIndexOf(' . ', colon - 1);
  return {
    frontend: line.slice(0, dot),
    slot: Number(line.slice(dot + 3, colon)),
    value: line.slice(colon + 3),
  };
}

const ownTables = [tableOf('IPv4'), tableOf('IPv6')];
const nothing: ReadonlyMap<number, string> = new Map<number, string>();

/** The slots of live parts, read when somebody asks. */
class Listed {
  readonly #objects: readonly RulesetObject[];
  readonly #lines = new Map<string, ReadonlySet<string>>();
  readonly #slots = new Map<string, Map<string, Map<number, string>>>();

  constructor(parts: readonly RulesetPart[]) {
    this.#objects = parts.flat().filter(({ name, table }) => slotMaps.has(name) && ownTables.includes(table));
  }

  hasAll({ id, lines }: RulesetObject): boolean {
    let listed = this.#lines.get(id);
    if (listed === undefined) {
      listed = new Set(this.#linesOf(id));
      this.#lines.set(id, listed);
    }
    return lines.every((line) => listed.has(line));
  }

  slots({ id }: RulesetObject, frontend: string): ReadonlyMap<number, string> {
    let byFrontend = this.#slots.get(id);
    if (byFrontend === undefined) {
      byFrontend = new Map();
      for (const line of this.#linesOf(id)) {
        const read = readSlot(elementKey(id, line));
        const slots = byFrontend.get(read.frontend) ?? new Map<number, string>();
        byFrontend.set(read.frontend, slots.set(read.slot, read.value));
      }
      this.#slots.set(id, byFrontend);
    }
    return byFrontend.get(frontend) ?? nothing;
  }

  #linesOf(id: string): readonly string[] {
    return this.#objects.flatMap((object) => (object.id === id ? object.lines : []));
  }
}
