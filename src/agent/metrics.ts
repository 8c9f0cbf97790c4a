import type { IPFamily } from '../source/objects.ts';
import { registerKubeProxyMetrics } from './kube-proxy-metrics.ts';
import type { KubeProxyMetrics, MetricsMode, PacketCounters } from './kube-proxy-metrics.ts';
import { registerPortwrightMetrics } from './portwright-metrics.ts';
import type { PortwrightMetrics } from './portwright-metrics.ts';
import { registerProcessMetrics } from './process-metrics.ts';

export interface MetricsOptions {
  readonly mode: MetricsMode;
  /** How many families are worked on. */
  readonly families: number;
  /** Our version, without `v`. */
  readonly version: string;
  /** Seconds since the epoch. */
  readonly now: () => number;
  /** Asked at each scrape: which families are ready. */
  readonly readiness: () => ReadonlyMap<IPFamily, boolean>;
  /** Asked at each scrape; leave it out where the kernel cannot count (no nfacct). */
  readonly counters?: () => Promise<PacketCounters | undefined>;
  /** Feature gates by name, and whether they are on. */
  readonly features: ReadonlyMap<string, boolean>;
}

/** One sync of one family, after it ended. */
export interface SyncObservation {
  readonly family: IPFamily;
  readonly isFull: boolean;
  readonly seconds: number;
  readonly isOk: boolean;
  /** How long each stage took, in seconds. */
  readonly stages: Readonly<Partial<Record<SyncStage, number>>>;
  /** How many objects were written, by kind of change. */
  readonly changes: Readonly<Partial<Record<'add' | 'change' | 'delete', number>>>;
}

/** What a sync spends its time on. */
export type SyncStage = 'model' | 'render' | 'list' | 'plan' | 'load';

/** The release of Kubernetes whose kube-proxy we stand in for. */
const kubernetesVersion = { major: '1', minor: '36', version: 'v1.36.0' } as const;

/** So many culprits are told apart; a name that a process gives itself must not grow our memory for ever. */
const maxCulprits = 32;

/** Loads the metrics library and registers everything. */
export async function createMetrics(options: MetricsOptions): Promise<Metrics> {
  // Of a CommonJS package the bundle's chunk has only the default export.
  const { default: prom } = await import('prom-client');
  const registry = new prom.Registry();
  const { mode, counters, version, readiness } = options;
  const metrics = new Metrics(
    options,
    () => registry.metrics(),
    registerKubeProxyMetrics(prom, registry, { mode, ...(counters !== undefined && { counters }) }),
    registerPortwrightMetrics(prom, registry, { version, readiness }),
  );
  registerProcessMetrics(prom, registry);
  const registers = [registry];
  const gitVersion = `${kubernetesVersion.version}+portwright-${version}`;
  new prom.Gauge({
    name: 'kubernetes_build_info',
    help: "[ALPHA] A metric with a constant '1' value labeled by the Kubernetes version that is stood in for, and the platform.",
    labelNames: ['major', 'minor', 'git_version', 'platform'],
    registers,
  }).set(
    {
      major: kubernetesVersion.major,
      minor: kubernetesVersion.minor,
      git_version: gitVersion,
      platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
    },
    1,
  );
  const features = new prom.Gauge({
    name: 'kubernetes_feature_enabled',
    help: '[BETA] This metric records the data about the stage and enablement of a k8s feature.',
    labelNames: ['name', 'stage'],
    registers,
  });
  for (const [name, isOn] of options.features) features.set({ name, stage: '' }, isOn ? 1 : 0);
  return metrics;
}

/** What the agent counts. Each method says what happened; names and labels of metrics stay inside. */
export class Metrics {
  readonly #options: MetricsOptions;
  readonly #kube: KubeProxyMetrics;
  readonly #own: PortwrightMetrics;
  readonly #culprits = new Set<string>();
  /** The exposition, as Prometheus reads it. */
  readonly text: () => Promise<string>;

  constructor(options: MetricsOptions, text: () => Promise<string>, kube: KubeProxyMetrics, own: PortwrightMetrics) {
    this.#options = options;
    this.text = text;
    this.#kube = kube;
    this.#own = own;
  }

  /** A sync was requested, or a family's loop began. */
  syncQueued(family: IPFamily): void {
    this.#kube.lastQueued.set({ ip_family: family }, this.#options.now());
  }

  syncObserved({ family, isFull, seconds, isOk, stages, changes }: SyncObservation): void {
    const labels = { ip_family: family };
    this.#kube.sync.observe(labels, seconds);
    (isFull ? this.#kube.fullSync : this.#kube.partialSync).observe(labels, seconds);
    for (const [stage, took] of Object.entries(stages)) this.#own.stages.observe({ ...labels, stage }, took);
    for (const [kind, count] of Object.entries(changes)) this.#own.changes.inc({ ...labels, kind }, count);
    if (isOk) this.#kube.lastSync.set(labels, this.#options.now());
    else this.writeFailed(family, isFull);
  }

  /** A write failed, or the kernel refused a part of it. */
  writeFailed(family: IPFamily, isFull: boolean): void {
    const labels = { ip_family: family };
    this.#kube.nftables?.syncFailures.inc(labels);
    this.#kube.iptables?.restoreFailures.inc(labels);
    if (!isFull) this.#kube.iptables?.partialRestoreFailures.inc(labels);
  }

  /** Chains or sets that nothing uses any more could not be deleted. */
  cleanupFailed(family: IPFamily): void {
    this.#kube.nftables?.cleanupFailures.inc({ ip_family: family });
    this.#kube.iptables?.restoreFailures.inc({ ip_family: family });
  }

  /** The desired rules were found in the kernel. */
  rulesVerified(family: IPFamily): void {
    this.#own.verified.set({ ip_family: family }, this.#options.now());
  }

  /** Rules of the iptables tables: all that are ours, and those the last sync wrote. */
  iptablesRules(
    family: IPFamily,
    table: 'nat' | 'filter',
    count: { readonly owned: number; readonly written: number },
  ): void {
    this.#kube.iptables?.rules.set({ ip_family: family, table }, count.owned);
    this.#kube.iptables?.rulesWritten.set({ ip_family: family, table }, count.written);
  }

  /** Service ports that have endpoints somewhere but, with a Local policy, none here. */
  noLocalEndpoints(family: IPFamily, policy: 'internal' | 'external', count: number): void {
    this.#kube.noLocalEndpoints.set({ ip_family: family, traffic_policy: policy }, count);
  }

  /** So many objects of a resource came from the API server, also those that changed nothing. */
  received(resource: string, count: number): void {
    // kube-proxy counts a Service once for each family, a slice for its own.
    if (resource === 'services') this.#kube.serviceChanges.inc(count * this.#options.families);
    if (resource === 'endpointslices') this.#kube.endpointChanges.inc(count);
  }

  /** So many changed and wait for the next sync. */
  changesWait({ services, slices }: { readonly services: number; readonly slices: number }): void {
    this.#kube.serviceChangesPending.inc(services);
    this.#kube.endpointChangesPending.inc(slices);
  }

  /** A sync took up all that was pending. */
  changesTaken(): void {
    this.#kube.serviceChangesPending.set(0);
    this.#kube.endpointChangesPending.set(0);
  }

  /** From the change of a pod, as its slice's annotation tells it, to rules in the kernel. */
  programmed(family: IPFamily, seconds: number): void {
    this.#kube.programming.observe({ ip_family: family }, Math.max(0, seconds));
  }

  healthAnswered(path: '/healthz' | '/livez', status: number): void {
    (path === '/healthz' ? this.#kube.healthz : this.#kube.livez).inc({ code: String(status) });
  }

  /** UDP flows were looked through, and those of the given reasons removed. */
  conntrackCleaned(family: IPFamily, seconds: number, deletions: ReadonlyMap<string, number>): void {
    const labels = { ip_family: family };
    this.#kube.conntrackSync.observe(labels, seconds);
    let total = 0;
    for (const [reason, count] of deletions) {
      this.#own.conntrackDeletions.inc({ ...labels, reason }, count);
      total += count;
    }
    this.#kube.conntrackDeleted.inc(labels, total);
  }

  /** Rules of a table that somebody changed were put right. `culprit` is a process's name, when the kernel told it. */
  driftRepaired(family: IPFamily, table: string, culprit = 'unknown'): void {
    if (this.#culprits.size < maxCulprits) this.#culprits.add(culprit);
    const known = this.#culprits.has(culprit) ? culprit : 'other';
    this.#own.driftRepairs.inc({ ip_family: family, table, culprit: known });
  }

  quarantined(family: IPFamily, count: number): void {
    this.#own.quarantined.set({ ip_family: family }, count);
  }

  /** All warnings of the present state, counted by reason. */
  warnings(byReason: ReadonlyMap<string, number>): void {
    this.#own.warnings.reset();
    for (const [reason, count] of byReason) this.#own.warnings.set({ reason }, count);
  }

  apiReconnected(resource: string, reason: string): void {
    this.#own.apiReconnects.inc({ resource, reason });
  }

  /** A request to the API server was answered. `code` is `<error>` when there was no answer. */
  apiRequested(request: {
    readonly method: string;
    readonly code: number | '<error>';
    readonly host: string;
    readonly seconds: number;
  }): void {
    const { method, code, host, seconds } = request;
    this.#kube.apiRequests.inc({ code: String(code), method, host });
    this.#kube.apiSeconds.observe({ verb: method, host }, seconds);
  }
}
