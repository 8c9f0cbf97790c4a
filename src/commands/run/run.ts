import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Agent } from '../../agent/agent.ts';
import { watchConfigFile } from '../../agent/config-watch.ts';
import { nodeSubject } from '../../agent/event-subjects.ts';
import { healthPaths } from '../../agent/health-paths.ts';
import { Health } from '../../agent/health.ts';
import { watchHost } from '../../agent/host-watch.ts';
import { metricsPaths } from '../../agent/metrics-paths.ts';
import { createMetrics } from '../../agent/metrics.ts';
import type { Metrics } from '../../agent/metrics.ts';
import { processStartSeconds } from '../../agent/process-metrics.ts';
import { systemClock } from '../../agent/runner.ts';
import { openServer } from '../../agent/server.ts';
import type { Server } from '../../agent/server.ts';
import type { Config } from '../../config/config.ts';
import { flagLines } from '../../config/flags.ts';
import { toJson } from '../../config/kube-proxy-configuration.ts';
import { nodeName } from '../../config/node.ts';
import { iptablesCounters } from '../../iptables/context.ts';
import { createConntrack } from '../../kernel/conntrack.ts';
import type { Variant } from '../../kernel/iptables-tools.ts';
import { nftListener, xtablesListener } from '../../kernel/listener.ts';
import { listeningSockets } from '../../kernel/listening-sockets.ts';
import { startMonitor } from '../../kernel/monitor.ts';
import { createCounters } from '../../kernel/nfacct.ts';
import { createLogger } from '../../log.ts';
import type { Logger } from '../../log.ts';
import { readingReason } from '../../source/files.ts';
import type { IPFamily } from '../../source/objects.ts';
import { version } from '../../version.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { UsageError } from '../failure.ts';
import { loadConfig } from '../input/input.ts';
import { backendFor, countsPackets, iptablesVariant, openKernel } from '../live/kernel.ts';
import type { Kernel } from '../live/kernel.ts';
import { findLeftovers } from '../live/leftovers.ts';
import { outputFormat } from '../output/format.ts';
import { claimNode, initialise, settleFamily, tuneConntrack, tuneOom, usableFamilies, withCounters } from './host.ts';
import { previewPrinter } from './preview.ts';
import { checkPlaceOfState, clusterSource, manifestSource } from './source.ts';
import type { RunSource } from './source.ts';

/** Everything a run is made of, before it starts. */
interface Setting {
  readonly options: CommandOptions;
  readonly effects: CommandEffects;
  readonly config: Config;
  readonly logger: Logger;
  readonly kernel: Kernel;
  readonly variant: Variant;
  readonly families: readonly IPFamily[];
  readonly nodeName: string;
  readonly health: Health;
}

/** After so long the tools that still run are left to die with us: each table is wholly old or wholly new. */
const longestStopMs = 1_500;

/** Of V8 11, which Node 20 has: a newer one does not know them and would say so at each start. */
const v8Flags = [
  // Machine code is made of what has run for so many bytes of bytecode, five times as many as it would by itself. Most of
  // what a start runs, it runs once for each Service and then hardly again: a third of its CPU went into that code.
  '--interrupt-budget=600000',
  // Some seconds after a large collection, when all is quiet, V8 makes one more of its own; it would make three.
  '--memory-reducer-single-gc',
];

/** The node agent. 0 when it was told to end, 1 when it cannot go on or its configuration changed. */
export async function run(options: CommandOptions, effects: CommandEffects): Promise<number> {
  outputFormat(options.output, ['text', 'json', 'yaml', 'script']);
  if (process.versions.v8.startsWith('11.')) for (const flag of v8Flags) setFlagsFromString(flag);
  const { config, warnings } = await loadConfig(options);
  const isCleanup = config.cleanup && config.writeConfigTo === undefined;
  if (isCleanup) return (await import('../cleanup.ts')).cleanup({ ...options, output: 'text' }, effects);
  const { format, verbosity } = config.logging;
  const logger = createLogger({ format, verbosity, stream: process.stderr });
  for (const reason of warnings) logger.warn('the configuration is odd', { reason });
  for (const flag of flagLines(options.flags)) logger.debug(1, 'flag', { flag });
  if (config.writeConfigTo !== undefined) return writeConfig(config, config.writeConfigTo, effects);
  if (!config.initOnly) checkPlaceOfState(options, config, effects.env);
  logger.info('Portwright starts', { version, mode: config.mode, pid: process.pid });
  if (config.initOnly) {
    const kernel = await openKernel(effects.env);
    await initialise(config, kernel, await iptablesVariant(kernel, config), logger);
    return 0;
  }
  const end = ending(effects, logger);
  const starting = settingOf({ options, effects, config, logger }).then((setting) => startAgent(setting, end.fail));
  // Nothing has been begun yet that must be finished: a tool that hangs is not waited for.
  const started = await Promise.race([starting, end.whenEnded]);
  if (started === undefined) return 0;
  if (typeof started === 'number') return started;
  const exitCode = await end.whenEnded;
  await started.stop();
  return exitCode;
}

async function settingOf(given: Pick<Setting, 'options' | 'effects' | 'config' | 'logger'>): Promise<Setting> {
  const { effects, config, logger } = given;
  const kernel = await openKernel(effects.env);
  const variant = await iptablesVariant(kernel, config);
  const families = await usableFamilies(config, kernel, variant, logger);
  const health = new Health({
    timeoutMs: 2 * config.syncPeriodMs,
    now: () => performance.now(),
    date: () => new Date(),
  });
  return { ...given, kernel, variant, families, nodeName: nodeName(config, [], hostname()), health };
}

async function writeConfig(config: Config, path: string, effects: CommandEffects): Promise<number> {
  const { configurationYaml } = await import('../../config/configuration-yaml.ts');
  try {
    writeFileSync(path, configurationYaml(config.configuration));
  } catch (error) {
    throw new UsageError(`--write-config-to: cannot write ${path}: ${readingReason(error as Error)}`);
  }
  effects.say(`the configuration was written to ${path}`);
  return 0;
}

/** What ends an agent: a signal from outside, or a reason that it found itself. Gives the exit code. */
interface Ending {
  readonly whenEnded: Promise<number>;
  readonly fail: (reason: string) => void;
}

function ending({ signal }: CommandEffects, logger: Logger): Ending {
  let end: (exitCode: number) => void = () => undefined;
  const whenEnded = new Promise<number>((resolve) => {
    end = resolve;
  });
  let isEnding = false;
  const stop = () => {
    isEnding = true;
    logger.info('told to end; the rules stay');
    end(0);
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return {
    whenEnded,
    fail: (reason) => {
      // Whoever ends all our processes at once, as systemd does, ends what we depend on too.
      if (isEnding) return;
      isEnding = true;
      logger.error('the agent ends; the rules stay', { reason });
      end(1);
    },
  };
}

/** An agent at work. */
interface Started {
  stop(): Promise<void>;
}

/** Nothing where it was told to end before the node was its own. */
async function startAgent(setting: Setting, fail: Ending['fail']): Promise<Started | undefined> {
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

function serve(
  { config, health, logger, options, nodeName: name }: Setting,
  { agent, metrics, from, fail }: { readonly agent: Agent } & Omit<AgentParts, 'counters'>,
): readonly Server[] {
  const bindFailure = (reason: string, server: string) => (error: Error) => {
    if (!config.bindAddressHardFail || options.dryRun) return;
    const note = `failed to start ${server} server: ${error.message}`;
    from.events.record({
      ...{ regarding: nodeSubject(name), type: 'Warning', reason, action: 'StartKubeProxy' },
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

function watchConfig({ configFile }: Config, fail: (reason: string) => void): { stop(): void } | undefined {
  if (configFile === undefined) return undefined;
  return watchConfigFile(configFile.path, configFile.text, {
    clock: systemClock,
    onChange: () => {
      fail(`the configuration file ${configFile.path} changed; it is read at the next start`);
    },
  });
}
