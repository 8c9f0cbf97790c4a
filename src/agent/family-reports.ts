import type { Logger } from '../log.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Plan } from '../ruleset/plan.ts';
import { namespacedName } from '../ruleset/ruleset.ts';
import type { ClusterState, IPFamily } from '../source/objects.ts';
import { distinctWriters, driftedServices, driftedTables } from './drift.ts';
import type { Drift, RulesInFront } from './drift.ts';
import { nodeSubject, serviceSubject } from './event-subjects.ts';
import type { EventSink } from './event-subjects.ts';
import type { FamilyHandlers, Synced } from './family-handlers.ts';
import type { Writer } from './foreign-commit.ts';
import type { Health } from './health.ts';
import type { Metrics } from './metrics.ts';
import { ProgrammingLatency } from './programming-latency.ts';
import { RuleCount } from './rule-count.ts';
import type { EndpointTrigger } from '../source/state-source.ts';
import { changeCounts, fewOf, syncFields, withoutLocalEndpoints } from './sync-report.ts';

export interface FamilyReportsOptions {
  readonly family: IPFamily;
  readonly nodeName: string;
  readonly logger: Logger;
  /** Says the same thing only now and then. */
  readonly quietLogger: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly events: EventSink;
  readonly date: () => Date;
  readonly state: () => ClusterState | undefined;
  readonly quarantined: () => number;
  /** After everything was told. */
  readonly onSynced: (synced: Synced) => void;
  readonly onPlan: (model: ProxyModel, plan: Plan, tookMs: number) => void;
}

const maxRemembered = 1_000;
const maxShownRules = 3;
/** Of refused Services so many have a line of their own. */
const maxRefusalLines = 10;

/** Turns what happens in one family's loop into log lines, metrics, health and Kubernetes Events. */
export class FamilyReports implements FamilyHandlers {
  readonly #options: FamilyReportsOptions;
  readonly #latency: ProgrammingLatency;
  readonly #rules = new RuleCount();
  /** Rules by table that were written last. */
  #written: ReadonlyMap<string, number> = new Map();
  /** Rules in front of ours that were told. */
  readonly #told = new Set<string>();

  constructor(options: FamilyReportsOptions) {
    this.#options = options;
    this.#latency = new ProgrammingLatency(options.family, options.date());
  }

  noteTriggers(triggers: readonly EndpointTrigger[]): void {
    this.#latency.note(triggers);
  }

  onBegun(): void {
    this.#options.health.begun(this.#options.family);
    this.#options.metrics.changesTaken();
    this.#latency.begun();
  }

  onSynced(synced: Synced): void {
    const { family, health, metrics, logger, quarantined } = this.#options;
    const { model, changes, refusals, leftovers, stages, tookMs, wasListed, live } = synced;
    health.updated(family);
    metrics.syncObserved({
      family,
      isFull: wasListed,
      seconds: tookMs / 1000,
      isOk: true,
      stages: Object.fromEntries([...stages].map(([stage, ms]) => [stage, ms / 1000])),
      changes: changeCounts(changes),
    });
    for (const seconds of this.#latency.programmed(this.#options.date())) metrics.programmed(family, seconds);
    if (refusals.length > 0) metrics.writeFailed(family, wasListed);
    metrics.quarantined(family, quarantined());
    const { internal, external } = withoutLocalEndpoints(model);
    metrics.noLocalEndpoints(family, 'internal', internal);
    metrics.noLocalEndpoints(family, 'external', external);
    const written = this.#rules.change(changes);
    // A look at what was written follows soon, and writes nothing: the number would never be seen.
    if (changes.length > 0) this.#written = written;
    if (wasListed) this.#rules.recount(live);
    for (const table of ['nat', 'filter'] as const) {
      const owned = this.#rules.owned.get(table) ?? 0;
      metrics.iptablesRules(family, table, { owned, written: this.#written.get(table) ?? 0 });
    }
    if (changes.length > 0) logger.info('rules synced', syncFields(synced));
    else if (logger.isEnabled(2)) logger.debug(2, 'rules are as they should be', syncFields(synced));
    this.#refused(refusals);
    this.#notRemoved(leftovers);
    this.#options.onSynced(synced);
  }

  onFailed(
    error: unknown,
    { isBusy, tookMs, wasListed }: { readonly isBusy: boolean; readonly tookMs: number; readonly wasListed: boolean },
  ): void {
    const { family, metrics, quietLogger } = this.#options;
    const seconds = tookMs / 1000;
    metrics.syncObserved({ family, isFull: wasListed, seconds, isOk: false, stages: {}, changes: {} });
    const message = isBusy ? 'rules cannot be written at present' : 'rules could not be synced';
    quietLogger[isBusy ? 'warn' : 'error'](message, { family, error, next: isBusy ? 'within a second' : 'soon' });
  }

  onDoubt(why: string): void {
    this.#options.health.unverified(this.#options.family, why);
  }

  onVerified(): void {
    const { health, metrics, family } = this.#options;
    health.verified(family);
    metrics.rulesVerified(family);
  }

  onDrift(drift: Drift): void {
    const { family, metrics, logger, events, nodeName } = this.#options;
    const services = fewOf(driftedServices(drift).map(namespacedName));
    const objects = fewOf(drift.changes.map(({ object }) => object));
    const writers = distinctWriters(drift.writers);
    const by = writers.length === 0 ? 'unknown' : fewOf(writers.map(writerText));
    logger.warn('rules were changed by somebody else and are put right', { family, by, services, objects });
    const [writer] = writers;
    for (const table of driftedTables(drift)) metrics.driftRepaired(family, table, writer?.processName);
    events.record({
      regarding: nodeSubject(nodeName),
      type: 'Warning',
      reason: 'RulesChanged',
      action: 'RepairRules',
      note: `${family} rules were changed by ${by === 'unknown' ? 'somebody unknown' : by} and are put right; Services: ${services}; objects: ${objects}`,
    });
  }

  onContested(objects: readonly string[], writer: Writer): void {
    const { family, quietLogger, events, nodeName } = this.#options;
    const by = writer.processName;
    quietLogger.warn(
      'somebody goes on changing our rules, which are put right less and less often; find out who starts it',
      {
        ...{ family, by: writerText(writer), objects: fewOf(objects) },
      },
    );
    events.record({
      regarding: nodeSubject(nodeName),
      type: 'Warning',
      reason: 'RulesContested',
      action: 'RepairRules',
      note: `${by} goes on changing ${family} rules that belong to the proxy: ${fewOf(objects)}; find out who starts it`,
    });
  }

  onRulesInFront(found: readonly RulesInFront[]): void {
    const { family, logger } = this.#options;
    for (const { chain, rules } of found) {
      const fresh = rules.filter((rule) => !this.#told.has(`${chain} ${rule}`));
      // Somebody who makes new ones all the time is known by then.
      if (fresh.length === 0 || this.#told.size >= maxRemembered) continue;
      for (const rule of fresh) this.#told.add(`${chain} ${rule}`);
      logger.info('rules of somebody else stand in front of ours and are left alone', {
        ...{ family, chain, count: fresh.length, first: fresh.slice(0, maxShownRules) },
      });
    }
  }

  onPlan(model: ProxyModel, plan: Plan, tookMs: number): void {
    this.#options.health.updated(this.#options.family);
    this.#options.onPlan(model, plan, tookMs);
  }

  #refused(refusals: Synced['refusals']): void {
    const { family, logger, events, state } = this.#options;
    for (const { service, reason } of refusals.slice(0, maxRefusalLines)) {
      const object = `Service ${namespacedName(service)}`;
      logger.error('the kernel refuses the rules of a Service; what it had before stays', { family, object, reason });
    }
    const rest = refusals.slice(maxRefusalLines).map(({ service }) => namespacedName(service));
    if (rest.length > 0) {
      logger.error('the kernel refuses the rules of more Services; /services names each', {
        ...{ family, count: rest.length, services: fewOf(rest) },
      });
    }
    for (const { service, reason } of refusals) {
      events.record({
        regarding: serviceSubject(service, state()),
        type: 'Warning',
        reason: 'RulesRefused',
        action: 'SyncRules',
        note: `the kernel refuses the ${family} rules of this Service, so what it had before stays on this node (${this.#options.nodeName}): ${reason}`,
      });
    }
  }

  #notRemoved(leftovers: readonly string[]): void {
    const { family, metrics, quietLogger } = this.#options;
    if (leftovers.length === 0) return;
    metrics.cleanupFailed(family);
    quietLogger.warn('something that is no longer used could not be removed; somebody else may use it', {
      ...{ family, count: leftovers.length, first: leftovers[0] },
    });
  }
}

function writerText({ pid, processName }: Writer): string {
  return `${processName} (process ${pid})`;
}
