import type { ProxyModel } from '../model/model.ts';
import type { Change } from '../ruleset/plan.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import { rulesInFront } from './drift.ts';
import type { RulesInFront } from './drift.ts';
import type { Written } from './family-handlers.ts';
import { withOwnText } from './own-text.ts';
import type { TimedBackend } from './timed-backend.ts';

/** What a reading found. */
export interface Found {
  /** The listing is the one that was known. */
  readonly isAsFound: boolean;
  /** What must be done to have back what was last written; absent where nobody kept account of that. */
  readonly changes?: readonly Change[];
}

/** What the kernel holds of one family as far as is known, and what of that is not anybody else's doing. */
export class LiveRules {
  /** Nothing when it must be read. */
  #ruleset: Ruleset | undefined;
  /** The fingerprint of a listing in which nothing but what is known to be live was found, as long as that is so. */
  #foundAs: string | undefined;
  /** What was last written. */
  #applied: ProxyModel | undefined;
  /** What differs next need not be anybody else's doing. */
  #isUnaccounted = false;
  /** Objects whose removal did not work. */
  #unremoved: ReadonlySet<string> = new Set();

  get ruleset(): Ruleset | undefined {
    return this.#ruleset;
  }

  get isWritten(): boolean {
    return this.#applied !== undefined;
  }

  get hasLeftovers(): boolean {
    return this.#unremoved.size > 0;
  }

  /** They must be read before the next write. */
  forget(): void {
    this.#ruleset = undefined;
    this.#foundAs = undefined;
    this.#isUnaccounted = true;
  }

  /** Reads them and compares them with what was written last. */
  async read(
    timed: TimedBackend,
    isWithheld: (service: ServiceName) => boolean,
    onRulesInFront: (found: readonly RulesInFront[]) => void,
  ): Promise<Found> {
    const { fingerprint, text } = await timed.listing(this.#foundAs);
    if (text === undefined) return { isAsFound: true, changes: [] };
    const listed = timed.parse(text);
    onRulesInFront(rulesInFront(listed));
    this.#ruleset = listed;
    this.#foundAs = undefined;
    // Nothing is known of what others did before the first write.
    if (this.#applied === undefined || this.#isUnaccounted) return { isAsFound: false };
    const plan = timed.plan(listed, timed.desired(this.#applied), isWithheld);
    if (plan.changes.length === 0) [this.#ruleset, this.#foundAs] = [plan.after, fingerprint];
    return { isAsFound: false, changes: plan.changes.filter((change) => !this.isLeftover(change)) };
  }

  /** The model was made true. `wasListed`: it was compared with what had just been read. */
  wrote(
    model: ProxyModel,
    { changes, leftovers, live }: Written,
    { wasListed, loads }: { readonly wasListed: boolean; readonly loads: number },
  ): void {
    this.#ruleset = wasListed ? withOwnText(live) : live;
    if (loads > 0) this.#foundAs = undefined;
    this.#applied = model;
    this.#isUnaccounted = false;
    const left = leftovers.length === 0 ? [] : changes.filter(({ kind }) => kind === 'delete');
    // What was left before is still there, until a reading shows it: what is known to be live is without it.
    this.#unremoved = new Set([...(wasListed ? [] : this.#unremoved), ...left.map(({ object }) => object)]);
  }

  /** It removes what could not be removed before. */
  isLeftover({ kind, object }: Change): boolean {
    return kind === 'delete' && this.#unremoved.has(object);
  }
}
