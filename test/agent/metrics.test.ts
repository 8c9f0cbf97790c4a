import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { createMetrics } from '../../src/agent/metrics.ts';
import type { Metrics, MetricsOptions } from '../../src/agent/metrics.ts';

/** What an exposition says, apart from values: help and type by name, and the names of labels by series. */
function shape(text: string) {
  const help = new Map<string, string>();
  const type = new Map<string, string>();
  const series = new Map<string, string>();
  for (const line of text.split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) (comment[1] === 'HELP' ? help : type).set(comment[2]!, comment[3]!);
    const sample = /^(kubeproxy_\w+)(?:\{(.*)\})? \S+$/.exec(line);
    if (sample !== null) {
      const labels = [...(sample[2] ?? '').matchAll(/(\w+)="/g)].map((match) => match[1]);
      series.set(sample[1]!, labels.sort().join());
    }
  }
  return { help, type, series };
}

/** The upper bounds of a histogram. */
function buckets(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`^${name}_bucket\\{[^}]*\\ble="([^"]+)"`, 'gm'))].map((match) => match[1]!);
}

describe('agent/metrics', () => {
  function create(more: Partial<MetricsOptions> = {}): Promise<Metrics> {
    return createMetrics({
      mode: 'iptables',
      version: '0.1.0',
      families: 2,
      now: () => 1_795_247_885.5,
      readiness: () =>
        new Map([
          ['IPv4', true],
          ['IPv6', false],
        ]),
      features: new Map([['NFTablesProxyMode', true]]),
      ...more,
    });
  }

  /** All that can happen, once. */
  function live(metrics: Metrics): void {
    const stages = { model: 0.001, render: 0.002, load: 0.01 };
    metrics.syncQueued('IPv4');
    metrics.syncObserved({ family: 'IPv4', isFull: true, seconds: 0.08, isOk: true, stages, changes: { add: 3 } });
    metrics.syncObserved({ family: 'IPv4', isFull: false, seconds: 0.01, isOk: false, stages: {}, changes: {} });
    metrics.cleanupFailed('IPv4');
    metrics.rulesVerified('IPv4');
    metrics.iptablesRules('IPv4', 'nat', { owned: 32, written: 3 });
    metrics.noLocalEndpoints('IPv4', 'internal', 1);
    metrics.received('services', 1);
    metrics.received('endpointslices', 2);
    metrics.changesWait({ services: 1, slices: 2 });
    metrics.programmed('IPv4', 0.7);
    metrics.healthAnswered('/healthz', 200);
    metrics.healthAnswered('/livez', 503);
    metrics.conntrackCleaned(
      'IPv4',
      0.02,
      new Map([
        ['endpoint-gone', 2],
        ['no-endpoints', 1],
      ]),
    );
    metrics.driftRepaired('IPv4', 'nat', 'iptables');
    metrics.quarantined('IPv4', 1);
    metrics.warnings(new Map([['NodePortConflict', 2]]));
    metrics.apiReconnected('services', 'silent');
    metrics.apiRequested({ method: 'GET', code: 200, host: '10.0.0.1:6443', seconds: 0.01 });
  }

  for (const mode of ['iptables', 'nftables'] as const) {
    it(`has kube-proxy's names, labels, types and help in ${mode} mode`, async () => {
      const counters = () => Promise.resolve({ invalidDropped: 5, localhostAccepted: 0 });
      const metrics = await create({ mode, counters });
      live(metrics);
      const file = join(import.meta.dirname, '..', 'corpus', 'http', `${mode}-10249-metrics.txt`);
      const recorded = shape(readFileSync(file, 'utf8'));
      const ours = shape(await metrics.text());
      expect(recorded.help.size).to.be.above(10);
      for (const name of recorded.help.keys()) {
        expect(ours.help.get(name), name).to.equal(recorded.help.get(name));
        expect(ours.type.get(name), name).to.equal(recorded.type.get(name));
      }
      for (const [name, labels] of recorded.series) expect(ours.series.get(name), name).to.equal(labels);
      const other = mode === 'iptables' ? 'nftables' : 'iptables';
      expect([...ours.help.keys()].filter((name) => name.includes(other))).to.deep.equal([]);
    });
  }

  it('has the buckets of kube-proxy', async () => {
    const metrics = await create();
    live(metrics);
    const text = await metrics.text();
    const recorded = readFileSync(
      join(import.meta.dirname, '..', 'corpus', 'http', 'iptables-10249-metrics.txt'),
      'utf8',
    );
    const name = 'kubeproxy_sync_full_proxy_rules_duration_seconds';
    expect(buckets(text, name)).to.deep.equal(buckets(recorded, name).slice(0, 16));
    const programming = buckets(text, 'kubeproxy_network_programming_duration_seconds');
    expect(programming).to.have.length(2 + 59 + 12 + 7 + 1);
    expect(programming).to.include.members(['0.25', '0.5', '1', '59', '60', '115', '120', '300', '+Inf']);
  });

  it('counts what happened', async () => {
    const metrics = await create();
    live(metrics);
    const lines = (await metrics.text()).split('\n');
    expect(lines).to.include.members([
      'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 2',
      'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1',
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 1795247885.5',
      'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family="IPv4"} 1',
      'kubeproxy_sync_proxy_rules_service_changes_total 2',
      'kubeproxy_sync_proxy_rules_endpoint_changes_pending 2',
      'kubeproxy_proxy_livez_total{code="503"} 1',
      'kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 3',
      'portwright_conntrack_deletions_total{ip_family="IPv4",reason="endpoint-gone"} 2',
      'portwright_drift_repairs_total{ip_family="IPv4",table="nat",culprit="iptables"} 1',
      'portwright_ready{ip_family="IPv6"} 0',
      'portwright_warnings{reason="NodePortConflict"} 2',
      'kubernetes_feature_enabled{name="NFTablesProxyMode",stage=""} 1',
    ]);
    expect(lines.join('\n')).to.match(/^kubernetes_build_info\{.*git_version="v1\.36\.0\+portwright-0\.1\.0"/m);
    metrics.changesTaken();
    metrics.warnings(new Map());
    const later = await metrics.text();
    expect(later).to.include('kubeproxy_sync_proxy_rules_endpoint_changes_pending 0');
    expect(later).not.to.include('NodePortConflict');
  });

  it('reads the packet counters at each scrape, and has none where the kernel cannot count', async () => {
    let reads = 0;
    const counting = await create({
      counters: () => Promise.resolve({ invalidDropped: ++reads, localhostAccepted: 9 }),
    });
    for (const dropped of [1, 2]) {
      const text = await counting.text();
      expect(text).to.include(`kubeproxy_iptables_ct_state_invalid_dropped_packets_total ${dropped}\n`);
      expect(text).to.include('kubeproxy_iptables_localhost_nodeports_accepted_packets_total 9\n');
    }
    expect(await (await create()).text()).not.to.include('ct_state_invalid');
  });

  it('tells of the process what dashboards ask for', async () => {
    const text = await (await create()).text();
    for (const name of [
      'cpu_seconds_total',
      'resident_memory_bytes',
      'virtual_memory_bytes',
      'open_fds',
      'max_fds',
      'start_time_seconds',
    ]) {
      const value = new RegExp(`^process_${name} (\\S+)$`, 'm').exec(text)?.[1];
      expect(Number(value), name).to.be.above(0);
    }
  });

  it('keeps the number of culprits bounded', async () => {
    const metrics = await create();
    for (let i = 0; i < 1000; i++) metrics.driftRepaired('IPv4', 'nat', `process-${i}`);
    const series = (await metrics.text())
      .split('\n')
      .filter((line) => line.startsWith('portwright_drift_repairs_total{'));
    expect(series).to.have.length(33);
    expect(series.at(-1)).to.match(/culprit="other"\} 968$/);
  });
});
