import type { Agent } from '../../agent/agent.ts';
import { nodeSubject } from '../../agent/event-subjects.ts';
import { healthPaths } from '../../agent/health-paths.ts';
import { metricsPaths } from '../../agent/metrics-paths.ts';
import type { Metrics } from '../../agent/metrics.ts';
import { processStartSeconds } from '../../agent/process-metrics.ts';
import { systemClock } from '../../agent/runner.ts';
import { openServer } from '../../agent/server.ts';
import type { Server } from '../../agent/server.ts';
import { flagLines } from '../../config/flags.ts';
import { toJson } from '../../config/kube-proxy-configuration.ts';
import { version } from '../../version.ts';
import type { Ending } from './ending.ts';
import type { Setting } from './setting.ts';
import type { RunSource } from './source.ts';

/** What the servers answer from. */
export interface Served {
  readonly agent: Agent;
  readonly metrics: Metrics;
  readonly from: RunSource;
  readonly fail: Ending['fail'];
}

/** Opens the servers of health and metrics. One that cannot bind ends the agent where the configuration wants that. */
export function serve(
  { config, health, logger, options, nodeName }: Setting,
  { agent, metrics, from, fail }: Served,
): readonly Server[] {
  const bindFailure = (reason: string, server: string) => (error: Error) => {
    if (!config.bindAddressHardFail || options.dryRun) return;
    const note = `failed to start ${server} server: ${error.message}`;
    from.events.record({
      ...{ regarding: nodeSubject(nodeName), type: 'Warning', reason, action: 'StartKubeProxy' },
      note,
    });
    fail(note);
  };
  const flags = new Map(flagLines(options.flags).map((line) => splitOnce(line, ': ')));
  const metricsHandler = metricsPaths({
    proxyMode: config.mode,
    version,
    started: new Date(processStartSeconds() * 1000),
    now: () => new Date(),
    metrics: metrics.text,
    configuration: () => toJson(config.configuration),
    flags: () => flags,
    services: () => agent.services(),
    features: config.featureGates,
  });
  const healthHandler = healthPaths({
    report: () => health.report(),
    onAnswer: (path, status) => {
      metrics.healthAnswered(path, status);
    },
  });
  const common = { clock: systemClock, logger };
  return [
    ...(config.healthzBindAddress === undefined
      ? []
      : [
          openServer({
            ...{ ...common, name: 'health', bind: config.healthzBindAddress, handler: healthHandler },
            onBindFailure: bindFailure('FailedToStartProxierHealthcheck', 'proxier healthz'),
          }),
        ]),
    openServer({
      ...{ ...common, name: 'metrics', bind: config.metricsBindAddress, handler: metricsHandler },
      onBindFailure: bindFailure('FailedToStartMetricServer', 'metrics'),
    }),
  ];
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return [text.slice(0, at), text.slice(at + separator.length)];
}
