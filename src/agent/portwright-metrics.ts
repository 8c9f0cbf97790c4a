import type { Registry } from 'prom-client';
import type prometheus from 'prom-client';
import type { IPFamily } from '../source/objects.ts';

const stageBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Our own metrics: what kube-proxy has no words for. */
export type PortwrightMetrics = ReturnType<typeof registerPortwrightMetrics>;

/** Registers our own metrics. `readiness` is asked at each scrape. */
export function registerPortwrightMetrics(
  prom: typeof prometheus,
  registry: Registry,
  { version, readiness }: { readonly version: string; readonly readiness: () => ReadonlyMap<IPFamily, boolean> },
) {
  const registers = [registry];
  const named = (name: string, help: string) => ({ name: `portwright_${name}`, help, registers });
  const build = new prom.Gauge({
    ...named('build_info', 'Always 1, labelled by the version of Portwright and of Node.js.'),
    labelNames: ['version', 'node_version'] as const,
  });
  build.set({ version, node_version: process.version }, 1);
  new prom.Gauge({
    ...named('ready', 'Whether the desired rules of the family were found in the kernel, as /readyz says.'),
    labelNames: ['ip_family'] as const,
    collect() {
      for (const [family, isReady] of readiness()) this.set({ ip_family: family }, isReady ? 1 : 0);
    },
  });
  return {
    verified: new prom.Gauge({
      ...named('rules_verified_timestamp_seconds', 'When the desired rules were last found in the kernel.'),
      labelNames: ['ip_family'] as const,
    }),
    stages: new prom.Histogram({
      ...named('sync_stage_duration_seconds', 'Time of one stage of a sync.'),
      labelNames: ['ip_family', 'stage'] as const,
      buckets: stageBuckets,
    }),
    changes: new prom.Counter({
      ...named('changes_total', 'Objects of the rules (chains, sets, maps, hooks) that syncs wrote.'),
      labelNames: ['ip_family', 'kind'] as const,
    }),
    driftRepairs: new prom.Counter({
      ...named('drift_repairs_total', 'Repairs of rules that somebody else changed, by table and by who it was.'),
      labelNames: ['ip_family', 'table', 'culprit'] as const,
    }),
    quarantined: new prom.Gauge({
      ...named(
        'quarantined_services',
        'Services that are left out, or kept as they were, because of an error in them.',
      ),
      labelNames: ['ip_family'] as const,
    }),
    warnings: new prom.Gauge({
      ...named('warnings', 'Warnings about objects at present, by reason.'),
      labelNames: ['reason'] as const,
    }),
    conntrackDeletions: new prom.Counter({
      ...named('conntrack_deletions_total', 'UDP flows removed from the connection table, by reason.'),
      labelNames: ['ip_family', 'reason'] as const,
    }),
    apiReconnects: new prom.Counter({
      ...named('api_reconnects_total', 'Watches that had to be opened again, by resource and reason.'),
      labelNames: ['resource', 'reason'] as const,
    }),
  };
}
