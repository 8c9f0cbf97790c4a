import type { IPFamily } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';

/** Which warnings are new: each is told once, for as long as what it is about lasts. */
export class WarningReports {
  readonly #byFamily = new Map<IPFamily, readonly Warning[]>();
  #known: ReadonlyMap<string, Warning> = new Map();

  /** The warnings of a family's model; gives those that nobody was told yet, or nothing when none came or went. */
  update(family: IPFamily, warnings: readonly Warning[]): readonly Warning[] | undefined {
    const before = this.#byFamily.get(family) ?? [];
    if (isSame(before, warnings)) return undefined;
    this.#byFamily.set(family, warnings);
    // Both families find the same fault in what they share.
    const all = new Map([...this.#byFamily.values()].flat().map((warning) => [JSON.stringify(warning), warning]));
    const fresh = [...all].flatMap(([key, warning]) => (this.#known.has(key) ? [] : [warning]));
    this.#known = all;
    return fresh;
  }

  /** How many there are of each reason. */
  byReason(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { reason } of this.#known.values()) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    return counts;
  }

  /** All of a family, by object: `Service default/web`. */
  byObject(family: IPFamily): ReadonlyMap<string, readonly Warning[]> {
    const objects = new Map<string, Warning[]>();
    for (const warning of this.#byFamily.get(family) ?? []) {
      objects.set(warning.object, [...(objects.get(warning.object) ?? []), warning]);
    }
    return objects;
  }
}

/** Models keep their warnings as objects while what they are about does not change. */
function isSame(left: readonly Warning[], right: readonly Warning[]): boolean {
  return left.length === right.length && left.every((warning, index) => warning === right[index]);
}
