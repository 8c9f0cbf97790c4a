import type { Registry } from 'prom-client';
import type prometheus from 'prom-client';

/** The mode decides which of the metrics exist. */
export type MetricsMode = 'iptables' | 'nftables';

/** Packets that two rules have seen since they were first written. */
export interface PacketCounters {
  readonly invalidDropped: number;
  readonly localhostAccepted: number;
}

const syncBuckets = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);
const programmingBuckets = [0.25, 0.5, ...steps(1, 59, 1), ...steps(60, 115, 5), ...steps(120, 300, 30)];
const apiBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

function steps(first: number, last: number, step: number): number[] {
  return Array.from({ length: (last - first) / step + 1 }, (_, index) => first + index * step);
}

/** The metrics of kube-proxy, by the names, labels and types that dashboards and alerts know. */
export type KubeProxyMetrics = ReturnType<typeof registerKubeProxyMetrics>;

/** Registers kube-proxy's metrics. `counters` is asked at each scrape; leave it out where the kernel cannot count. */
export function registerKubeProxyMetrics(
  prom: typeof prometheus,
  registry: Registry,
  { mode, counters }: { readonly mode: MetricsMode; readonly counters?: () => Promise<PacketCounters | undefined> },
) {
  const make = maker(prom, registry);
  if (mode === 'iptables' && counters !== undefined) registerPacketCounters(prom, make, counters);
  return {
    ...healthMetrics(make),
    ...syncMetrics(make),
    ...stateMetrics(make),
    ...conntrackMetrics(make),
    iptables: mode === 'iptables' ? iptablesMetrics(make) : undefined,
    nftables: mode === 'nftables' ? nftablesMetrics(make) : undefined,
    ...apiMetrics(prom, registry),
  };
}

type Maker = ReturnType<typeof maker>;

function maker(prom: typeof prometheus, registry: Registry) {
  const named = (name: string, help: string) => ({
    name: `kubeproxy_${name}`,
    help: `[ALPHA] ${help}`,
    registers: [registry],
  });
  return {
    named,
    counter: <L extends string>(name: string, labelNames: readonly L[], help: string) =>
      new prom.Counter({ ...named(name, help), labelNames }),
    gauge: <L extends string>(name: string, labelNames: readonly L[], help: string) =>
      new prom.Gauge({ ...named(name, help), labelNames }),
    seconds: (name: string, help: string, buckets = syncBuckets) =>
      new prom.Histogram({ ...named(name, help), labelNames: ['ip_family'] as const, buckets }),
  };
}

function healthMetrics({ counter }: Maker) {
  return {
    healthz: counter('proxy_healthz_total', ['code'], 'Cumulative proxy healthz HTTP status'),
    livez: counter('proxy_livez_total', ['code'], 'Cumulative proxy livez HTTP status'),
  };
}

function syncMetrics({ gauge, seconds }: Maker) {
  return {
    sync: seconds('sync_proxy_rules_duration_seconds', 'SyncProxyRules latency in seconds'),
    fullSync: seconds('sync_full_proxy_rules_duration_seconds', 'SyncProxyRules latency in seconds for full resyncs'),
    partialSync: seconds(
      'sync_partial_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds for partial resyncs',
    ),
    programming: seconds(
      'network_programming_duration_seconds',
      'In Cluster Network Programming Latency in seconds',
      programmingBuckets,
    ),
    lastSync: gauge(
      'sync_proxy_rules_last_timestamp_seconds',
      ['ip_family'],
      'The last time proxy rules were successfully synced',
    ),
    lastQueued: gauge(
      'sync_proxy_rules_last_queued_timestamp_seconds',
      ['ip_family'],
      'The last time a sync of proxy rules was queued',
    ),
  };
}

function stateMetrics({ counter, gauge }: Maker) {
  return {
    endpointChangesPending: gauge(
      'sync_proxy_rules_endpoint_changes_pending',
      [],
      'Pending proxy rules Endpoint changes',
    ),
    endpointChanges: counter('sync_proxy_rules_endpoint_changes_total', [], 'Cumulative proxy rules Endpoint changes'),
    serviceChangesPending: gauge('sync_proxy_rules_service_changes_pending', [], 'Pending proxy rules Service changes'),
    serviceChanges: counter('sync_proxy_rules_service_changes_total', [], 'Cumulative proxy rules Service changes'),
    noLocalEndpoints: gauge(
      'sync_proxy_rules_no_local_endpoints_total',
      ['ip_family', 'traffic_policy'],
      'Number of services with a Local traffic policy and no endpoints',
    ),
  };
}

function conntrackMetrics({ counter, seconds }: Maker) {
  return {
    conntrackSync: seconds(
      'conntrack_reconciler_sync_duration_seconds',
      'ReconcileConntrackFlowsLatency latency in seconds',
    ),
    conntrackDeleted: counter(
      'conntrack_reconciler_deleted_entries_total',
      ['ip_family'],
      'Cumulative conntrack flows deleted by conntrack reconciler',
    ),
  };
}

function iptablesMetrics({ counter, gauge }: Maker) {
  return {
    restoreFailures: counter(
      'sync_proxy_rules_iptables_restore_failures_total',
      ['ip_family'],
      'Cumulative proxy iptables restore failures',
    ),
    partialRestoreFailures: counter(
      'sync_proxy_rules_iptables_partial_restore_failures_total',
      ['ip_family'],
      'Cumulative proxy iptables partial restore failures',
    ),
    rules: gauge(
      'sync_proxy_rules_iptables_total',
      ['ip_family', 'table'],
      'Total number of iptables rules owned by kube-proxy',
    ),
    rulesWritten: gauge(
      'sync_proxy_rules_iptables_last',
      ['ip_family', 'table'],
      'Number of iptables rules written by kube-proxy in last sync',
    ),
  };
}

function nftablesMetrics({ counter }: Maker) {
  return {
    syncFailures: counter(
      'sync_proxy_rules_nftables_sync_failures_total',
      ['ip_family'],
      'Cumulative proxy nftables sync failures',
    ),
    cleanupFailures: counter(
      'sync_proxy_rules_nftables_cleanup_failures_total',
      ['ip_family'],
      'Cumulative proxy nftables cleanup failures',
    ),
  };
}

/** Those of Kubernetes' client library, which every component has by these names. */
function apiMetrics(prom: typeof prometheus, registry: Registry) {
  const registers = [registry];
  return {
    apiRequests: new prom.Counter({
      name: 'rest_client_requests_total',
      help: '[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.',
      labelNames: ['code', 'method', 'host'] as const,
      registers,
    }),
    apiSeconds: new prom.Histogram({
      name: 'rest_client_request_duration_seconds',
      help: '[ALPHA] Request latency in seconds. Broken down by verb, and host.',
      labelNames: ['verb', 'host'] as const,
      buckets: apiBuckets,
      registers,
    }),
  };
}

function registerPacketCounters(
  prom: typeof prometheus,
  { named }: Maker,
  counters: () => Promise<PacketCounters | undefined>,
): void {
  // Both are read by one call, which the two collectors of a scrape share.
  let reading: Promise<PacketCounters | undefined> | undefined;
  const read = () => {
    reading ??= counters().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  const counter = (name: string, help: string, field: keyof PacketCounters) =>
    new prom.Counter({
      ...named(name, help),
      async collect() {
        const value = (await read())?.[field];
        if (value === undefined) return;
        this.reset();
        this.inc(value);
      },
    });
  counter(
    'iptables_ct_state_invalid_dropped_packets_total',
    'packets dropped by iptables to work around conntrack problems',
    'invalidDropped',
  );
  counter(
    'iptables_localhost_nodeports_accepted_packets_total',
    'Number of packets accepted on nodeports of loopback interface',
    'localhostAccepted',
  );
}
