import type { Change } from '../ruleset/plan.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';

/** The kernel's own chains. What is ours in them is jumps, which kube-proxy does not count among its rules. */
const kernelChains: ReadonlySet<string> = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);

/** How many of our rules each table holds, apart from jumps of the kernel's chains, followed from change to change. */
export class RuleCount {
  #byTable = new Map<string, number>();

  get owned(): ReadonlyMap<string, number> {
    return this.#byTable;
  }

  /** Counts everything. */
  recount({ parts }: Ruleset): void {
    this.#byTable = new Map();
    for (const part of parts) {
      for (const { isOwned, table, name, lines, tail } of part) {
        if (isOwned && !kernelChains.has(name)) this.#add(table, lines.length + tail.length);
      }
    }
  }

  /** Counts what a plan changed; gives how many rules it wrote, by table. */
  change(changes: readonly Change[]): ReadonlyMap<string, number> {
    const written = new Map<string, number>();
    for (const { object, before, after } of changes) {
      const end = Math.max(0, object.lastIndexOf(' '));
      const table = object.slice(0, end);
      if (kernelChains.has(object.slice(end + 1))) continue;
      this.#add(table, after.length - before.length);
      written.set(table, (written.get(table) ?? 0) + after.length);
    }
    return written;
  }

  #add(table: string, count: number): void {
    this.#byTable.set(table, (this.#byTable.get(table) ?? 0) + count);
  }
}
