import type { ProxyModel } from '../model/model.ts';
import type { Change, Plan } from '../ruleset/plan.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { Drift, RulesInFront } from './drift.ts';
import type { Writer } from './foreign-commit.ts';
import type { SyncStage } from './metrics.ts';
import type { Refusal } from './sync.ts';

/** What a family's loop tells. None of these may throw. */
export interface FamilyHandlers {
  /** A sync takes up everything that was asked for until now. */
  onBegun(): void;
  onSynced(synced: Synced): void;
  /** `isBusy`: somebody holds a lock, it is tried again within a second. */
  onFailed(
    error: unknown,
    failed: { readonly isBusy: boolean; readonly tookMs: number; readonly wasListed: boolean },
  ): void;
  /** The kernel is known, or must be feared, to hold something else than it should. */
  onDoubt(why: string): void;
  /** Everything that should be in the kernel was found there. */
  onVerified(): void;
  /** Found and about to be put right. */
  onDrift(drift: Drift): void;
  /** Somebody goes on changing these; they are put right less and less often. */
  onContested(objects: readonly string[], writer: Writer): void;
  onRulesInFront(found: readonly RulesInFront[]): void;
  /** Of a dry run. */
  onPlan(model: ProxyModel, plan: Plan, tookMs: number): void;
}

/** What was written. */
export interface Written {
  readonly changes: readonly Change[];
  readonly refusals: readonly Refusal[];
  /** In the tool's words: what could not be removed. */
  readonly leftovers: readonly string[];
  /** What the kernel holds now. */
  readonly live: Ruleset;
}

/** A sync that ended well. */
export interface Synced extends Written {
  readonly model: ProxyModel;
  readonly wasListed: boolean;
  /** Milliseconds by stage. */
  readonly stages: ReadonlyMap<SyncStage, number>;
  readonly tookMs: number;
}
