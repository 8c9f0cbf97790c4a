import type { Config } from '../config/config.ts';
import { checkSanity } from '../config/sanity.ts';
import type { Conntrack } from '../kernel/conntrack.ts';
import type { ListeningSocket, SocketQuery } from '../kernel/listening-sockets.ts';
import type { Monitor, MonitorHandlers } from '../kernel/monitor.ts';
import type { Logger } from '../log.ts';
import { rateLimited } from '../log.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Plan } from '../ruleset/plan.ts';
import type { IPFamily, Node } from '../source/objects.ts';
import type { StateChange, StateSource } from '../source/state-source.ts';
import type { Backend } from './backend.ts';
import { nodeSubject, serviceSubject, warnedSubject } from './event-subjects.ts';
import type { EventSink } from './event-subjects.ts';
import { FamilyLoop } from './family-loop.ts';
import type { Synced } from './family-handlers.ts';
import { FamilyReports } from './family-reports.ts';
import { FlowCleaner } from './flow-cleaner.ts';
import type { Health } from './health.ts';
import type { Metrics } from './metrics.ts';
import { IdleMemory } from './idle-memory.ts';
import { NodeModels } from './node-models.ts';
import { nodeWait } from './node-wait.ts';
import type { Clock } from './runner.ts';
import { ServiceHealthServers, serviceHealthAddresses, serviceHealthChecks } from './service-health.ts';
import { serviceStatuses } from './service-status.ts';
import type { ServiceStatus } from './service-status.ts';
import type { StaleFlow } from './stale-flows.ts';
import { fewOf } from './sync-report.ts';
import { TakenNodePorts } from './taken-node-ports.ts';
import { unheardLoads } from './unheard-loads.ts';
import { WarningReports } from './warning-reports.ts';

export interface AgentOptions {
  readonly config: Config;
  readonly nodeName: string;
  readonly source: StateSource;
  /** There is no cluster: nobody else decides whether this node is eligible. */
  readonly isStandalone: boolean;
  /** Everything but writing. */
  readonly isDryRun: boolean;
  readonly families: readonly AgentFamily[];
  readonly clock: Clock;
  readonly date: () => Date;
  readonly logger: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly events: EventSink;
  readonly effects: AgentEffects;
}

/** A family to keep true. */
export interface AgentFamily {
  readonly backend: Backend;
  /** The kernel tells of commits of others to its tables. */
  readonly isWatched: boolean;
}

/** What the agent does to, and learns from, the host. */
export interface AgentEffects {
  /** Tells of commits. */
  readonly startMonitor: (handlers: MonitorHandlers) => Monitor;
  /** The name under which we commit. */
  readonly ownProcessName: string;
  /** Tells the addresses of the interfaces, soon and whenever they change. */
  readonly watchHost: (onAddresses: (addresses: readonly string[]) => void) => { stop(): void };
  readonly tracksLiberally: () => Promise<boolean>;
  readonly conntrack: Conntrack;
  /** The sockets of this host that are wanted. */
  readonly listeners: (isWanted: NonNullable<SocketQuery['isWanted']>) => Promise<readonly ListeningSocket[]>;
  /** What follows once a family's rules stand for the first time; gives what did not work, in words. */
  readonly settle: (backend: Backend, model: ProxyModel) => Promise<readonly string[]>;
  /** Of a dry run: what would be changed. */
  readonly onPlan: (model: ProxyModel, plan: Plan, tookMs: number) => void;
  /** The agent cannot go on. */
  readonly onFatal: (reason: string) => void;
}

/** What one family is made of while it runs. */
interface Part {
  readonly family: IPFamily;
  readonly backend: Backend;
  readonly loop: FamilyLoop;
  readonly reports: FamilyReports;
  readonly flows: FlowCleaner;
  readonly healthServers: ServiceHealthServers;
  isSettled: boolean;
}

const maxWarningLines = 10;

/** The node agent: follows a source of state and keeps the rules of each family true, whatever happens. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #quietLogger: Logger;
  readonly #models: NodeModels;
  readonly #warnings = new WarningReports();
  readonly #takenPorts: TakenNodePorts;
  readonly #memory: IdleMemory;
  readonly #parts: readonly Part[];
  #monitor: Monitor | undefined;
  #stoppers: (() => void)[] = [];
  #isHostKnown = false;
  #isGateOpen = false;
  #isStopped = false;
  #waitingSince: number | undefined;
  #interfaces: readonly string[] = [];

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#quietLogger = rateLimited(options.logger, () => options.clock.now());
    this.#memory = new IdleMemory(options.clock);
    this.#models = new NodeModels(options.config, options.nodeName, (lost) => {
      options.logger.warn('the Node lost what rules go by; they stay as they are until it has it again', { lost });
    });
    this.#takenPorts = new TakenNodePorts({
      clock: options.clock,
      listeners: options.effects.listeners,
      hostAddresses: () => this.#models.hostAddresses,
      state: () => options.source.snapshot(),
      onLooked: (model) => {
        this.#tellWarnings(model);
      },
      onError: (error) => {
        this.#quietLogger.warn('it cannot be seen who listens on node ports', { error });
      },
    });
    this.#parts = options.families.map((family) => this.#partOf(family));
  }

  start(): void {
    const { source, effects, health, isStandalone } = this.#options;
    if (isStandalone) health.setStandalone();
    for (const { family } of this.#parts) health.started(family);
    if (this.#options.families.some(({ isWatched }) => isWatched)) this.#monitor = this.#startMonitor();
    const host = effects.watchHost((addresses) => {
      this.#interfaces = addresses;
      void this.#hostChanged();
    });
    const unsubscribe = source.onChange((change) => {
      this.#stateChanged(change);
    });
    this.#stoppers.push(
      () => this.#monitor?.stop(),
      () => {
        host.stop();
      },
      unsubscribe,
    );
    source.start();
  }

  /** Ends everything; rules stay. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const stop of this.#stoppers) stop();
    this.#memory.stop();
    await Promise.all([
      this.#takenPorts.stop(),
      ...this.#parts.map(async ({ loop, flows, healthServers }) => {
        await Promise.all([loop.stop(), flows.stop(), healthServers.close()]);
      }),
    ]);
    await this.#options.source.stop();
  }

  /** Every Service of every family, as `/services` shows them. */
  services(): readonly ServiceStatus[] {
    const state = this.#options.source.snapshot();
    return this.#parts.flatMap(({ family, loop }) => {
      const told = { warnings: this.#warnings.byObject(family), refusals: loop.quarantined };
      return serviceStatuses(family, loop.times(), { ...told, state });
    });
  }

  #partOf({ backend, isWatched }: AgentFamily): Part {
    const { config, clock, date, health, isDryRun, effects, logger, metrics, events, nodeName, source } = this.#options;
    const { family } = backend;
    const reports: FamilyReports = new FamilyReports({
      ...{ family, nodeName, logger, quietLogger: this.#quietLogger, metrics, health, events, date },
      state: () => source.snapshot(),
      quarantined: () => part.loop.quarantined.length,
      onSynced: (synced) => {
        this.#synced(part, synced);
      },
      onPlan: (model, plan, tookMs) => {
        this.#takenPorts.written(model);
        this.#tellWarnings(model);
        effects.onPlan(model, plan, tookMs);
      },
    });
    const monitor = () => (isWatched ? this.#monitor : undefined);
    const loop: FamilyLoop = new FamilyLoop({
      ...{ backend: unheardLoads(backend, monitor), clock, date, isWatched, isDryRun, handlers: reports },
      listening: () => monitor()?.listening() ?? Promise.resolve(),
      minIntervalMs: config.minSyncPeriodMs,
      retryIntervalMs: config.syncPeriodMs,
      maxIntervalMs,
      model: () => this.#model(family),
    });
    const part: Part = { family, backend, loop, reports, isSettled: false, ...this.#helpersOf(family) };
    return part;
  }

  /** What follows the rules of a family besides the kernel. */
  #helpersOf(family: IPFamily): Pick<Part, 'flows' | 'healthServers'> {
    const { clock, health, effects, logger, events } = this.#options;
    return {
      flows: new FlowCleaner({
        ...{ family, conntrack: effects.conntrack, clock },
        hostAddresses: () => this.#models.hostAddresses,
        onCleaned: (removed, tookMs) => {
          this.#flowsCleaned(family, removed, tookMs);
        },
        onError: (error) => {
          this.#quietLogger.warn('UDP flows cannot be looked through; clients may wait for endpoints that are gone', {
            ...{ family, error },
          });
        },
      }),
      healthServers: new ServiceHealthServers({
        isHealthy: () => health.report().isHealthy,
        clock,
        onListenFailure: ({ namespace, name, port }, error) => {
          const object = `Service ${namespace}/${name}`;
          logger.warn('a health check node port cannot be served; it is tried again', { object, port, error });
          events.record({
            regarding: serviceSubject({ namespace, name }, this.#options.source.snapshot()),
            type: 'Warning',
            reason: 'FailedToStartServiceHealthcheck',
            action: 'Listen',
            note: `node ${this.#options.nodeName} failed to start healthcheck "${namespace}/${name}" on port ${port}: ${error.message}`,
          });
        },
        onError: (error) => {
          logger.error('a health check could not be answered', { error });
        },
      }),
    };
  }

  #startMonitor(): Monitor {
    const { effects, logger } = this.#options;
    const watched = this.#parts.filter(({ backend }) =>
      this.#options.families.some((family) => family.backend === backend && family.isWatched),
    );
    return effects.startMonitor({
      onCommit: (commit) => {
        if (commit.processName === effects.ownProcessName) return;
        for (const { loop } of watched) loop.foreignCommit(commit);
      },
      onGap: (reason) => {
        logger.debug(2, 'commits of others may have been missed', { reason });
        for (const { loop } of watched) loop.readAgain();
      },
    });
  }

  async #hostChanged(): Promise<void> {
    const { effects, logger } = this.#options;
    const tracksLiberally = await effects.tracksLiberally();
    this.#models.setHost({ interfaces: this.#interfaces, tracksLiberally });
    if (this.#isHostKnown) logger.info('addresses of this host changed', { count: this.#interfaces.length });
    this.#isHostKnown = true;
    this.#request();
  }

  #stateChanged({ triggers, services = 0, slices = 0 }: StateChange): void {
    const { metrics, health, source, isStandalone } = this.#options;
    metrics.changesWait({ services, slices });
    for (const { reports } of this.#parts) reports.noteTriggers(triggers);
    if (!isStandalone) health.setNode(source.snapshot()?.node);
    this.#request();
  }

  /** Asks every family for a sync, once nothing stands in the way of the first. */
  #request(): void {
    if (!this.#mayWrite()) return;
    const { health, metrics } = this.#options;
    for (const { family, loop } of this.#parts) {
      health.queued(family);
      metrics.syncQueued(family);
      loop.request();
    }
  }

  /** Complete lists, the host's addresses, and what the configuration needs of the Node: nothing is written before. */
  #mayWrite(): boolean {
    if (this.#isGateOpen) return true;
    const state = this.#options.source.snapshot();
    if (state === undefined || !this.#isHostKnown) return false;
    const { config, nodeName, isStandalone, clock, effects } = this.#options;
    const wait = nodeWait(config, nodeName, state.node);
    const isFirst = this.#waitingSince === undefined;
    this.#waitingSince ??= clock.now();
    const waitedMs = clock.now() - this.#waitingSince;
    const patienceMs = wait === undefined || (isStandalone && !wait.isEssential) ? 0 : wait.patienceMs;
    if (wait === undefined || (waitedMs >= patienceMs && !wait.isEssential)) {
      this.#isGateOpen = this.#suits(state.node);
      return this.#isGateOpen;
    }
    if (waitedMs >= patienceMs) effects.onFatal(wait.reason);
    else if (isFirst) {
      this.#options.logger.warn('waiting for the Node; no rule is written yet', { reason: wait.reason, patienceMs });
      this.#stoppers.push(
        clock.after(patienceMs, () => {
          this.#request();
        }),
      );
    }
    return false;
  }

  /** Says, once all is known of the node, what of the configuration is odd on it; whether it can work at all. */
  #suits(node: Node | undefined): boolean {
    const { config, logger, effects } = this.#options;
    const families = this.#parts.map(({ family }) => family);
    const { warnings, fatal } = checkSanity(config, node, families);
    for (const reason of warnings) logger.warn('the configuration is odd on this node', { reason });
    if (fatal.length > 0) effects.onFatal(`the configuration cannot work on this node: ${fatal.join('; ')}`);
    return fatal.length === 0;
  }

  #model(family: IPFamily): ProxyModel | undefined {
    const state = this.#options.source.snapshot();
    return state === undefined || !this.#mayWrite() ? undefined : this.#models.model(state, family);
  }

  #synced(part: Part, { model }: Synced): void {
    // A sync that was under way: what would follow it has been closed.
    if (this.#isStopped) return;
    this.#memory.worked();
    this.#takenPorts.written(model);
    this.#tellWarnings(model);
    part.flows.written(model);
    part.healthServers.update(serviceHealthChecks(model), serviceHealthAddresses(model)).catch((error: unknown) => {
      this.#options.logger.error('health check node ports could not be updated', { error });
    });
    if (!part.isSettled) void this.#settle(part, model);
  }

  async #settle(part: Part, model: ProxyModel): Promise<void> {
    const { effects, logger } = this.#options;
    part.isSettled = true;
    try {
      for (const words of await effects.settle(part.backend, model)) {
        logger.warn('not everything could be done once the rules stood', { family: part.family, reason: words });
      }
    } catch (error) {
      logger.error('not everything could be done once the rules stood', { family: part.family, error });
    }
  }

  #tellWarnings(model: ProxyModel): void {
    const { logger, events, metrics, source, nodeName } = this.#options;
    const all = [...model.warnings, ...this.#takenPorts.warnings(model.family)];
    const fresh = this.#warnings.update(model.family, all);
    if (fresh === undefined) return;
    metrics.warnings(this.#warnings.byReason());
    for (const { object, field, reason, message } of fresh.slice(0, maxWarningLines)) {
      logger.warn('an object needs a look', { object, field, reason, message });
      const regarding = warnedSubject(object, source.snapshot()) ?? nodeSubject(nodeName);
      events.record({
        regarding,
        type: 'Warning',
        reason,
        action: 'SyncRules',
        note: `node ${nodeName}: ${field}: ${message}`,
      });
    }
    const rest = fresh.slice(maxWarningLines);
    if (rest.length > 0) {
      const objects = fewOf(rest.map(({ object }) => object));
      logger.warn('more objects need a look; /services names each', { count: rest.length, objects });
    }
  }

  #flowsCleaned(family: IPFamily, removed: readonly StaleFlow[], tookMs: number): void {
    const { logger, metrics } = this.#options;
    const reasons = new Map<string, number>();
    for (const { reason } of removed) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    metrics.conntrackCleaned(family, tookMs / 1000, reasons);
    if (!logger.isEnabled(4)) return;
    for (const { flow, reason, servicePort } of removed) {
      const { source, destination, destinationPort } = flow.original;
      logger.debug(4, 'UDP flow removed', { family, reason, servicePort, source, destination, destinationPort });
    }
  }
}

/** A full sync happens at least this often. */
const maxIntervalMs = 3_600_000;
