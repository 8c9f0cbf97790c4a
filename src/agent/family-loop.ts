import { isWorthRetry, LoadError } from '../kernel/errors.ts';
import type { Commit } from '../kernel/monitor.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Change } from '../ruleset/plan.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';
import type { Backend } from './backend.ts';
import { coldStartStages, renderInPieces } from './cold-start.ts';
import type { Drift } from './drift.ts';
import type { FamilyHandlers } from './family-handlers.ts';
import { touchedObjects } from './foreign-commit.ts';
import { ListingSchedule } from './listing-schedule.ts';
import { LiveRules } from './live-rules.ts';
import { Quarantine } from './quarantine.ts';
import { Runner } from './runner.ts';
import type { Clock, RunOutcome } from './runner.ts';
import { ServiceTimes } from './service-times.ts';
import type { Times } from './service-times.ts';
import { writeInStages } from './staged-write.ts';
import type { Refusal } from './sync.ts';
import { timedBackend } from './timed-backend.ts';
import type { TimedBackend } from './timed-backend.ts';
import { UnreadCommits } from './unread-commits.ts';

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

/** What nobody could remove is tried again so often: somebody may still point to it. */
const removeAgainMs = 15_000;

/** One sync. */
interface Round {
  readonly model: ProxyModel;
  readonly timed: TimedBackend;
  readonly startedAt: number;
  readonly wasListed: boolean;
}

/** Keeps the rules of one family true, for ever. */
export class FamilyLoop {
  readonly #options: FamilyLoopOptions;
  readonly #runner: Runner;
  readonly #schedule: ListingSchedule;
  readonly #rules = new LiveRules();
  readonly #commits = new UnreadCommits();
  readonly #quarantine = new Quarantine();
  readonly #times = new ServiceTimes();
  /** Whether the kernel holds what it should. `behind`: something failed and was not made up for, so it does not. */
  #trust: 'verified' | 'doubted' | 'behind' = 'doubted';
  /** Somebody asked, and no sync has done it yet. */
  #isRequested = false;
  /** The next reading has not begun, and will see whatever is committed until then. */
  #isReadingAhead = true;

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
        this.#rules.forget();
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
    if (this.#isReadingAhead) return;
    this.#commits.addUnknown();
    this.#readAt(Math.max(this.#options.clock.now(), this.#commits.restUntil));
  }

  /** Somebody else changed rules in the kernel. */
  foreignCommit(commit: Commit): void {
    const touched = touchedObjects(commit, this.#options.backend);
    if (touched.length === 0) return;
    const { pid, processName } = commit;
    const writer = { pid, processName };
    this.#commits.add(touched, writer);
    const now = this.#options.clock.now();
    const contested = this.#commits.contested(touched, now);
    if (contested.length > 0) this.#options.handlers.onContested(contested, writer);
    // Before the first sync there is nothing to doubt.
    if (this.#rules.isWritten) this.#doubt(`${processName} (process ${pid}) changed rules; they are being read`);
    if (!this.#isReadingAhead) this.#readAt(now + this.#commits.waitMs(touched, now));
  }

  /** Starts nothing more and waits for what is under way. Rules stay. */
  stop(): Promise<void> {
    return this.#runner.stop();
  }

  #readAt(at: number): void {
    this.#schedule.plan(at);
    this.#runner.requestWithin(at - this.#options.clock.now());
  }

  #readWithin(delayMs: number): void {
    this.#readAt(this.#options.clock.now() + delayMs);
  }

  async #run(): Promise<RunOutcome> {
    // What it throws is a mistake of ours: the runner's next try, after a wait, finds what is due.
    const outcome = await this.#sync();
    // The run took the runner's deadline away, whatever it was for.
    const nextAt = Math.min(this.#schedule.at, this.#quarantine.retryAt);
    if (Number.isFinite(nextAt)) this.#runner.requestWithin(nextAt - this.#options.clock.now());
    return outcome;
  }

  async #sync(): Promise<RunOutcome> {
    const { clock, backend, handlers, date, isDryRun } = this.#options;
    const startedAt = clock.now();
    const timed = timedBackend(backend, clock);
    const model = timed.time('model', () => this.#options.model());
    if (model === undefined) return 'done';
    handlers.onBegun();
    this.#times.desire(model, date());
    // What the kernel holds of a Service that was left alone, nobody has kept account of.
    if (this.#quarantine.release(model, startedAt)) this.#rules.forget();
    const wasListed = this.#rules.ruleset === undefined || startedAt >= this.#schedule.at;
    const round: Round = { model, timed, startedAt, wasListed };
    const isRequested = this.#isRequested;
    this.#isRequested = false;
    try {
      const isAsFound = wasListed && (await this.#read(timed));
      // Else nobody asked for anything, and everything is as it was when nothing was left to do.
      const hasWork = !isAsFound || isRequested;
      if (hasWork && isDryRun) this.#tell(round);
      else if (hasWork) await this.#write(round);
      if (this.#schedule.at === Infinity) this.#readWithin(this.#schedule.afterListing(listingMs(timed)));
      return isRequested || timed.loads() > 0 ? 'done' : 'checked';
    } catch (error) {
      this.#isRequested ||= isRequested;
      return this.#failed(error, round);
    }
  }

  #failed(error: unknown, { timed, startedAt, wasListed }: Round): RunOutcome {
    const { clock, handlers } = this.#options;
    const isBusy = isWorthRetry(error);
    if (!isLockHeld(error) || timed.loads() > 0) this.#rules.forget();
    this.#doubt(error instanceof Error ? error.message : String(error));
    this.#trust = 'behind';
    handlers.onFailed(error, { isBusy, tookMs: clock.now() - startedAt, wasListed });
    return isBusy ? 'busy' : 'failed';
  }

  /** Reads the live rules; says whether they are as they were found the last time. */
  async #read(timed: TimedBackend): Promise<boolean> {
    const { listening, handlers, clock } = this.#options;
    this.#isReadingAhead = true;
    await listening();
    this.#isReadingAhead = false;
    const { writers, touched } = this.#commits.take();
    this.#schedule.begun();
    const { isAsFound, changes } = await this.#rules.read(timed, this.#isWithheld, (found) => {
      handlers.onRulesInFront(found);
    });
    if (changes === undefined) return isAsFound;
    if (changes.length > 0) {
      this.#foundDrift({ changes, writers }, touched);
    } else {
      this.#verified();
      this.#commits.foundNothing(touched, listingMs(timed), clock.now());
      // Also what was committed while we read waits.
      if (!this.#commits.isEmpty) this.#schedule.postpone(this.#commits.restUntil);
    }
    return isAsFound;
  }

  #foundDrift(drift: Drift, touched: readonly string[]): void {
    const objects = [...new Set(drift.changes.map(({ object }) => object))];
    this.#commits.foundChanged(objects, touched, this.#options.clock.now());
    if (this.#trust !== 'verified') this.#schedule.missed();
    this.#doubt(`rules were changed by somebody else: ${objects.slice(0, 3).join(', ')}`);
    this.#times.lose(drift.changes.flatMap(({ service }) => (service === undefined ? [] : [service])));
    this.#options.handlers.onDrift(drift);
  }

  #tell({ model, timed, startedAt }: Round): void {
    const { clock, handlers } = this.#options;
    const plan = timed.plan(this.#known(), timed.desired(model), this.#isWithheld);
    handlers.onPlan(model, plan, clock.now() - startedAt);
    if (plan.changes.length > 0) handlers.onDoubt('this is a dry run: nothing is written');
    else handlers.onVerified();
  }

  async #write({ model, timed, startedAt, wasListed }: Round): Promise<void> {
    const { clock, date, handlers } = this.#options;
    const live = this.#known();
    const written = await writeInStages(timed, await this.#stages(model, live, timed), {
      live,
      isWithheld: this.#isWithheld,
      onRefused: (refusals) => {
        this.#quarantine.add(refusals, model, clock.now());
      },
    });
    this.#rules.wrote(model, written, { wasListed, loads: timed.loads() });
    if (this.#trust === 'behind') this.#trust = 'doubted';
    this.#times.apply(date());
    handlers.onSynced({ ...{ model, ...written, wasListed }, stages: timed.stages, tookMs: clock.now() - startedAt });
    this.#planReading(written.changes, wasListed);
  }

  /** On a full node that has no rules yet the most needed come first. */
  async #stages(model: ProxyModel, live: Ruleset, timed: TimedBackend): Promise<readonly ProxyModel[]> {
    if (this.#rules.isWritten) return [model];
    await renderInPieces(timed, model);
    return coldStartStages(model, live);
  }

  /** When to read the rules after they were written. */
  #planReading(changes: readonly Change[], wasListed: boolean): void {
    if (this.#rules.hasLeftovers) this.#readWithin(removeAgainMs);
    const isWritten = changes.some((change) => !this.#rules.isLeftover(change));
    if (!isWritten && wasListed) this.#verified();
    // What somebody else touched is read in its time, and this with it.
    else if (!this.#commits.isEmpty) return;
    else if (this.#trust !== 'verified') this.#readWithin(this.#schedule.beforeLook());
    else if (isWritten) this.#readWithin(this.#schedule.afterWrite());
  }

  #doubt(why: string): void {
    if (this.#trust === 'verified') this.#trust = 'doubted';
    this.#options.handlers.onDoubt(why);
  }

  #verified(): void {
    // Somebody wrote while we read; or what was looked for is older than what should be.
    if (!this.#commits.isEmpty || this.#trust === 'behind') return;
    this.#trust = 'verified';
    this.#schedule.verified();
    this.#times.verify(this.#options.date());
    this.#options.handlers.onVerified();
  }

  #known(): Ruleset {
    const { ruleset } = this.#rules;
    if (ruleset === undefined) throw new Error('unreachable: live rules are neither known nor read');
    return ruleset;
  }

  readonly #isWithheld = (service: ServiceName): boolean => this.#quarantine.has(service);
}

function listingMs({ stages }: TimedBackend): number {
  return stages.get('list') ?? 0;
}

/** The one failure that leaves everything as it was. */
function isLockHeld(error: unknown): boolean {
  return error instanceof LoadError && error.failure.kind === 'lock-held';
}
