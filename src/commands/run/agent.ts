import { Agent } from '../../agent/agent.ts';
import { watchConfigFile } from '../../agent/config-watch.ts';
import { nodeSubject } from '../../agent/event-subjects.ts';
import { watchHost } from '../../agent/host-watch.ts';
import { createMetrics } from '../../agent/metrics.ts';
import type { Metrics } from '../../agent/metrics.ts';
import { systemClock } from '../../agent/runner.ts';
import type { Config } from '../../config/config.ts';
import { iptablesCounters } from '../../iptables/context.ts';
import { createConntrack } from '../../kernel/conntrack.ts';
import { nftListener, xtablesListener } from '../../kernel/listener.ts';
import { listeningSockets } from '../../kernel/listening-sockets.ts';
import { startMonitor } from '../../kernel/monitor.ts';
import { createCounters } from '../../kernel/nfacct.ts';
import type { IPFamily } from '../../source/objects.ts';
import { version } from '../../version.ts';
import { backendFor, countsPackets } from '../live/kernel.ts';
import { findLeftovers } from '../live/leftovers.ts';
import { outputFormat } from '../output/format.ts';
import type { Ending } from './ending.ts';
import { claimNode, settleFamily, tuneConntrack, tuneOom, withCounters } from './host.ts';
import { previewPrinter } from './preview.ts';
import { serve } from './servers.ts';
import type { Setting } from './setting.ts';
import { clusterSource, manifestSource } from './source.ts';
import type { RunSource } from './source.ts';

/** An agent at work. */
export interface Started {
  stop(): Promise<void>;
}

/** Puts the agent together and starts it. Nothing where it was told to end before the node was its own. */
export async function startAgent(setting: Setting, fail: Ending['fail']): Promise<Started | undefined> {
  const { options, config, kernel, logger, effects } = setting;
  const claim = options.dryRun
    ? { release: () => undefined }
    : await claimNode(kernel, logger, {
        signal: effects.signal,
        onLost: (reason) => {
          fail(`this node can no longer be claimed: ${reason}`);
        },
      });
  if (claim === undefined) return undefined;
  if (!options.dryRun) {
    await tuneOom(config, kernel, logger);
    await tuneConntrack(config, kernel, logger);
  }
  const counters =
    config.mode === 'iptables' && (options.dryRun ? config.nfacct : await countsPackets(kernel, setting.variant));
  const metrics = await metricsOf(setting, counters);
  const from = await sourceOf(setting, metrics);
  const agent = await agentOf(setting, { from, metrics, counters, fail });
  const servers = serve(setting, { agent, metrics, from, fail });
  const watch = watchConfig(config, fail);
  agent.start();
  from.events.record({
    ...{ regarding: nodeSubject(setting.nodeName), type: 'Normal', reason: 'Starting', action: 'StartKubeProxy' },
    note: '',
  });
  return {
    stop: async () => {
      watch?.stop();
      await withinTime([agent.stop(), from.close(), ...servers.map((server) => server.close())]);
      claim.release();
    },
  };
}

/** After so long the tools that still run are left to die with us: each table is wholly old or wholly new. */
const longestStopMs = 1_500;

/** Resolves when all is done, and in any case soon. */
async function withinTime(work: readonly Promise<void>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, longestStopMs);
  });
  await Promise.race([Promise.allSettled(work), patience]);
  clearTimeout(timer);
}

function metricsOf({ config, kernel, health, families }: Setting, counters: boolean): Promise<Metrics> {
  const packets = async () => {
    const found = await createCounters(kernel.run).packets(iptablesCounters);
    const [invalid, localhost] = iptablesCounters.map((name) => Number(found.get(name) ?? 0));
    return { invalidDropped: invalid ?? 0, localhostAccepted: localhost ?? 0 };
  };
  return createMetrics({
    mode: config.mode,
    families: families.length,
    version,
    now: () => Date.now() / 1000,
    readiness: () =>
      new Map([...health.report().families].map(([family, { notReady }]) => [family, notReady === undefined])),
    ...(counters && { counters: packets }),
    features: config.featureGates,
  });
}

function sourceOf(setting: Setting, metrics: Metrics): RunSource | Promise<RunSource> {
  const { options, config, effects, logger } = setting;
  const run = { effects, clock: systemClock, logger, metrics };
  return options.filenames.length > 0
    ? manifestSource(options, config, run)
    : clusterSource(config, setting.nodeName, run);
}

/** What an agent needs besides its setting. */
interface AgentParts {
  readonly from: RunSource;
  readonly metrics: Metrics;
  readonly counters: boolean;
  readonly fail: (reason: string) => void;
}

async function agentOf(setting: Setting, { from, metrics, counters, fail }: AgentParts): Promise<Agent> {
  const { options, config, kernel, variant, families, logger, health } = setting;
  const isWatched = config.mode === 'nftables' || variant === 'nft';
  return new Agent({
    ...{ config, nodeName: setting.nodeName, logger, health, metrics, clock: systemClock },
    source: from.source,
    isStandalone: from.isStandalone,
    // A dry run tells nobody but its user.
    events: options.dryRun ? { record: () => undefined } : from.events,
    isDryRun: options.dryRun,
    families: families.map((family) => {
      const { backend } = backendFor(kernel, config.mode, { family, variant, counters });
      return { backend: counters && !options.dryRun ? withCounters(kernel, backend) : backend, isWatched };
    }),
    date: () => new Date(),
    effects: {
      startMonitor: (handlers) =>
        startMonitor(kernel, config.mode === 'iptables' ? [xtablesListener, nftListener] : [nftListener], handlers),
      ownProcessName: kernel.committer.processName,
      watchHost: (onAddresses) =>
        watchHost({
          ...{ follow: kernel.follow, run: kernel.run, clock: systemClock, onAddresses },
          onError: (error) => {
            logger.warn('the addresses of this host cannot be read; those known stay until they can', { error });
          },
        }),
      tracksLiberally: () => kernel.facts.tracksLiberally(),
      conntrack: createConntrack(kernel),
      listeners: (isWanted) => listeningSockets(kernel.files, { isWanted }),
      settle: (backend, model) => settleFamily(kernel, variant, backend, model),
      onPlan: options.dryRun ? await preview(setting) : () => undefined,
      onFatal: fail,
    },
  });
}

async function preview({ options, effects, config, kernel, variant, families, logger }: Setting) {
  const format = outputFormat(options.output, ['text', 'json', 'yaml', 'script']);
  const leftovers = new Map<IPFamily, readonly string[]>();
  for (const family of families) {
    const found = await findLeftovers(kernel, config.mode, { family, variant }, (reason) => {
      logger.warn('what another mode or variant left is not all seen', { family, reason });
    });
    leftovers.set(
      family,
      found.flatMap(({ objects }) => objects),
    );
  }
  return previewPrinter({ format, effects, leftovers, clock: systemClock });
}

function watchConfig({ configFile }: Config, fail: (reason: string) => void): { stop(): void } | undefined {
  if (configFile === undefined) return undefined;
  return watchConfigFile(configFile.path, configFile.text, {
    clock: systemClock,
    onChange: () => {
      fail(`the configuration file ${configFile.path} changed; it is read at the next start`);
    },
  });
}
