import { isWorthRetry, LoadError } from '../kernel/errors.ts';
import type { Commit } from '../kernel/monitor.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Change, Plan } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import type { Backend } from './backend.ts';
import { coldStartStages, renderInPieces } from './cold-start.ts';
import { rulesInFront } from './drift.ts';
import type { Drift, RulesInFront } from './drift.ts';
import { touchedObjects, unknownObject } from './foreign-commit.ts';
import type { Writer } from './foreign-commit.ts';
import { ListingSchedule } from './listing-schedule.ts';
import type { SyncStage } from './metrics.ts';
import { withOwnText } from './own-text.ts';
import { Quarantine } from './quarantine.ts';
import { Runner } from './runner.ts';
import type { Clock, RunOutcome } from './runner.ts';
import { ServiceTimes } from './service-times.ts';
import type { Times } from './service-times.ts';
import { sync } from './sync.ts';
import type { Refusal } from './sync.ts';
import { timedBackend } from './timed-backend.ts';
import type { TimedBackend } from './timed-backend.ts';
import { WriterPatience } from './writer-patience.ts';

export interface FamilyLoopOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly date: () => Date;
  readonly minIntervalMs: number;
  readonly retryIntervalMs: number;
  readonly maxIntervalMs: number;
  /** The kernel tells of foreign commits, by `foreignCommit`. */
  readonly isWatched: boolean;
  /** Resolves when foreign commits are told, or cannot be for now: what is read then needs no second look. */
  readonly listening: () => Promise<void>;
  /** What should be now; nothing while nothing may be written yet. */
  readonly model: () => ProxyModel | undefined;
  /** Write nothing: plans are only told, by `onPlan`. */
  readonly isDryRun: boolean;
  readonly handlers: FamilyHandlers;
}

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
interface Written {
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

/** What nobody could remove is tried again so often: somebody may still point to it. */
const removeAgainMs = 15_000;
const maxWriters = 20;
const maxTouched = 100;
const peaceMs = 10_000;

/** Keeps the rules of one family true, for ever. */
export class FamilyLoop {
  readonly #options: FamilyLoopOptions;
  readonly #runner: Runner;
  readonly #schedule: ListingSchedule;
  readonly #patience = new WriterPatience();
  readonly #quarantine = new Quarantine();
  readonly #times = new ServiceTimes();
  /** What the kernel holds as far as is known; nothing when it must be read. */
  #live: Ruleset | undefined;
  /** The fingerprint of a listing in which nothing but what is known to be live was found, as long as that is so. */
  #foundAs: string | undefined;
  /** What was last written. */
  #applied: ProxyModel | undefined;
  #isVerified = false;
  #hasBegun = false;
  #isAboutToRead = false;
  #isRequested = false;
  /** Something failed and was not made up for: what was last written is not all that should be there. */
  #isBehind = false;
  /** What differs next need not be anybody else's doing. */
  #isUnaccounted = false;
  /** The live rules are to be read at this time of the clock. */
  #listAt = -Infinity;
  /** Objects whose removal did not work. */
  #unremoved: ReadonlySet<string> = new Set();
  #writers: Writer[] = [];
  #touched = new Set<string>();
  /** Readings in a row that somebody's commits made necessary and that found nothing. */
  #fruitless = 0;
  #fruitlessUntil = -Infinity;

  constructor(options: FamilyLoopOptions) {
    this.#options = options;
    const { clock, minIntervalMs, retryIntervalMs, maxIntervalMs, isWatched, handlers } = options;
    this.#schedule = new ListingSchedule({ isWatched, maxIntervalMs });
    this.#runner = new Runner({
      minIntervalMs,
      retryIntervalMs,
      maxIntervalMs,
      clock,
      run: () => this.#run(),
      onError: (error) => {
        this.#forget();
        handlers.onFailed(error, { isBusy: false, tookMs: 0, wasListed: false });
      },
    });
  }

  /** The Services that are left as they are in the kernel, and why. */
  get quarantined(): readonly Refusal[] {
    return this.#quarantine.list();
  }

  times(): readonly Times[] {
    return this.#times.list();
  }

  /** Something of what should be may have changed. */
  request(): void {
    this.#isRequested = true;
    this.#runner.request();
  }

  /** Commits may have been missed. */
  readAgain(): void {
    // The first sync reads in any case, and a reading that has not begun will see everything.
    if (!this.#hasBegun || this.#isAboutToRead) return;
    this.#touched.add(unknownObject);
    this.#listWithin(Math.max(0, this.#fruitlessUntil - this.#options.clock.now()));
  }

  /** Somebody else changed rules in the kernel. */
  foreignCommit(commit: Commit): void {
    if (!this.#hasBegun) return;
    const touched = touchedObjects(commit, this.#options.backend);
    if (touched.length === 0) return;
    const { pid, processName } = commit;
    const writer = { pid, processName };
    if (this.#writers.length < maxWriters) this.#writers.push(writer);
    for (const object of touched) if (this.#touched.size < maxTouched) this.#touched.add(object);
    const now = this.#options.clock.now();
    const contested = this.#patience.contested(touched, now);
    if (contested.length > 0) this.#options.handlers.onContested(contested, writer);
    // Before the first sync there is nothing to doubt.
    if (this.#applied !== undefined) this.#doubt(`${processName} (process ${pid}) changed rules; they are being read`);
    this.#listWithin(Math.max(this.#patience.waitMs(touched, now), this.#fruitlessUntil - now, 0));
  }

  /** Starts nothing more and waits for what is under way. Rules stay. */
  stop(): Promise<void> {
    return this.#runner.stop();
  }

  #listWithin(delayMs: number): void {
    this.#listAt = Math.min(this.#listAt, this.#options.clock.now() + delayMs);
    this.#runner.requestWithin(delayMs);
  }

  /** The rules must be read before the next write. */
  #forget(): void {
    this.#live = undefined;
    this.#foundAs = undefined;
    this.#isUnaccounted = true;
  }

  #doubt(why: string): void {
    this.#isVerified = false;
    this.#options.handlers.onDoubt(why);
  }

  async #run(): Promise<RunOutcome> {
    // What it throws is a mistake of ours: the runner's next try, after a wait, finds what is due.
    const outcome = await this.#sync();
    // The run took the runner's deadline away, whatever it was for.
    const nextAt = Math.min(this.#listAt, this.#quarantine.retryAt);
    if (Number.isFinite(nextAt)) this.#runner.requestWithin(nextAt - this.#options.clock.now());
    return outcome;
  }

  async #sync(): Promise<RunOutcome> {
    const { clock, backend, handlers, date } = this.#options;
    const startedAt = clock.now();
    const timed = timedBackend(backend, clock);
    const model = timed.time('model', () => this.#options.model());
    if (model === undefined) return 'done';
    this.#hasBegun = true;
    handlers.onBegun();
    this.#times.desire(model, date());
    // What the kernel holds of a Service that was left alone, nobody has kept account of.
    if (this.#quarantine.release(model, startedAt)) this.#forget();
    const wasListed = this.#live === undefined || startedAt >= this.#listAt;
    const isRequested = this.#isRequested;
    this.#isRequested = false;
    try {
      const isAsFound = wasListed && (await this.#read(timed)) === 'as found';
      const live = this.#live;
      if (live === undefined) throw new Error('unreachable: live rules are neither known nor read');
      // Else nobody asked for anything, and everything is as it was when nothing was left to do.
      if (!isAsFound || isRequested) {
        if (this.#options.isDryRun) this.#tell(model, live, timed, startedAt);
        else await this.#write(model, live, timed, { startedAt, wasListed });
      }
      if (this.#listAt === Infinity) this.#listWithin(this.#schedule.afterListing(timed.stages.get('list') ?? 0));
      return isRequested || timed.loads() > 0 ? 'done' : 'checked';
    } catch (error) {
      this.#isRequested ||= isRequested;
      const isBusy = isWorthRetry(error);
      if (!isLockHeld(error) || timed.loads() > 0) this.#forget();
      this.#isBehind = true;
      this.#doubt(error instanceof Error ? error.message : String(error));
      handlers.onFailed(error, { isBusy, tookMs: clock.now() - startedAt, wasListed });
      return isBusy ? 'busy' : 'failed';
    }
  }

  /** Reads the live rules and compares them with what was written last. */
  async #read(timed: TimedBackend): Promise<'as found' | 'compared'> {
    this.#isAboutToRead = true;
    await this.#options.listening();
    this.#isAboutToRead = false;
    const writers = this.#writers.splice(0);
    const touched = [...this.#touched];
    this.#touched.clear();
    // Whoever commits from now on makes us read again.
    this.#listAt = Infinity;
    const { fingerprint, text } = await timed.listing(this.#foundAs);
    const isAsFound = text === undefined;
    const changes = isAsFound ? [] : this.#compare(timed.parse(text), fingerprint, timed);
    if (changes === undefined) return 'compared';
    if (changes.length > 0) this.#found({ changes, writers }, touched);
    else {
      this.#verified();
      this.#foundNothing(touched, timed.stages.get('list') ?? 0);
    }
    return isAsFound ? 'as found' : 'compared';
  }

  /** What somebody else changed; nothing is known of that before the first write. */
  #compare(listed: Ruleset, fingerprint: string, timed: TimedBackend): readonly Change[] | undefined {
    this.#options.handlers.onRulesInFront(rulesInFront(listed));
    this.#live = listed;
    this.#foundAs = undefined;
    if (this.#applied === undefined || this.#isUnaccounted) return undefined;
    const plan = timed.plan(listed, timed.desired(this.#applied), this.#isWithheld);
    if (plan.changes.length === 0) [this.#live, this.#foundAs] = [plan.after, fingerprint];
    return plan.changes.filter(({ kind, object }) => kind !== 'delete' || !this.#unremoved.has(object));
  }

  #found(drift: Drift, touched: readonly string[]): void {
    const objects = [...new Set(drift.changes.map(({ object }) => object))];
    this.#patience.strike(new Set([...touched, ...objects.slice(0, maxTouched)]), this.#options.clock.now());
    this.#fruitless = 0;
    this.#doubt(`rules were changed by somebody else: ${objects.slice(0, 3).join(', ')}`);
    this.#times.lose(drift.changes.flatMap(({ service }) => (service === undefined ? [] : [service])));
    this.#options.handlers.onDrift(drift);
  }

  /** Whoever writes much beside our rules must not keep us reading. */
  #foundNothing(touched: readonly string[], tookMs: number): void {
    const now = this.#options.clock.now();
    if (touched.length === 0 || now - this.#fruitlessUntil > peaceMs) this.#fruitless = 0;
    if (touched.length > 0) this.#fruitless += 1;
    this.#fruitlessUntil = now + tookMs * Math.min(Math.max(0, this.#fruitless - 3), 10);
    // Also what was committed while we read waits.
    if (this.#touched.size > 0) this.#listAt = Math.max(this.#listAt, this.#fruitlessUntil);
  }

  #tell(model: ProxyModel, live: Ruleset, timed: TimedBackend, startedAt: number): void {
    const { clock, handlers } = this.#options;
    const plan = timed.plan(live, timed.desired(model), this.#isWithheld);
    handlers.onPlan(model, plan, clock.now() - startedAt);
    if (plan.changes.length > 0) handlers.onDoubt('this is a dry run: nothing is written');
    else handlers.onVerified();
  }

  async #write(
    model: ProxyModel,
    live: Ruleset,
    timed: TimedBackend,
    { startedAt, wasListed }: { readonly startedAt: number; readonly wasListed: boolean },
  ): Promise<void> {
    const { clock, date, handlers } = this.#options;
    const written = await this.#writeInStages(model, live, timed);
    const { changes, leftovers } = written;
    this.#live = wasListed ? withOwnText(written.live) : written.live;
    if (timed.loads() > 0) this.#foundAs = undefined;
    this.#applied = model;
    this.#isUnaccounted = false;
    this.#isBehind = false;
    this.#times.apply(date());
    const left = leftovers.length === 0 ? [] : changes.filter(({ kind }) => kind === 'delete');
    // What was left before is still there, until a reading shows it: what is known to be live is without it.
    this.#unremoved = new Set([...(wasListed ? [] : this.#unremoved), ...left.map(({ object }) => object)]);
    handlers.onSynced({
      ...{ model, ...written, wasListed },
      stages: timed.stages,
      tookMs: clock.now() - startedAt,
    });
    this.#plannedReading(changes, wasListed);
  }

  /** On a full node that has no rules yet the most needed come first. */
  async #writeInStages(model: ProxyModel, live: Ruleset, timed: TimedBackend): Promise<Written> {
    const isFirst = this.#applied === undefined;
    if (isFirst) await renderInPieces(timed, model);
    const written = { changes: [] as Change[], refusals: [] as Refusal[], leftovers: [] as string[], live };
    for (const stage of isFirst ? coldStartStages(model, live) : [model]) {
      const result = await sync(timed, stage, { live: written.live, isWithheld: this.#isWithheld, keepGoing: true });
      this.#quarantine.add(result.refusals, model, this.#options.clock.now());
      const refused = new Set(result.refusals.map(({ service }) => namespacedName(service)));
      for (const change of result.plan.changes) {
        const { service } = change;
        if (service === undefined || !refused.has(namespacedName(service))) written.changes.push(change);
      }
      written.refusals.push(...result.refusals);
      written.leftovers.push(...result.leftovers);
      written.live = result.live;
    }
    return written;
  }

  /** When to read the rules after they were written. */
  #plannedReading(changes: readonly Change[], wasListed: boolean): void {
    if (this.#unremoved.size > 0) this.#listWithin(removeAgainMs);
    const isWritten = changes.some(({ kind, object }) => kind !== 'delete' || !this.#unremoved.has(object));
    if (!isWritten && wasListed) this.#verified();
    // What somebody else touched is read in its time, and this with it.
    else if (this.#touched.size > 0) return;
    else if (!this.#isVerified) this.#listWithin(0);
    else if (isWritten) this.#listWithin(this.#schedule.afterWrite());
  }

  #verified(): void {
    // Somebody wrote while we read; or what was looked for is older than what should be.
    if (this.#touched.size > 0 || this.#isBehind) return;
    this.#isVerified = true;
    this.#times.verify(this.#options.date());
    this.#options.handlers.onVerified();
  }

  readonly #isWithheld = (service: ServiceName): boolean => this.#quarantine.has(service);
}

/** The one failure that leaves everything as it was. */
function isLockHeld(error: unknown): boolean {
  return error instanceof LoadError && error.failure.kind === 'lock-held';
}
