import { hostname } from 'node:os';
import type { EventSink } from '../../agent/event-subjects.ts';
import type { Metrics } from '../../agent/metrics.ts';
import type { Clock } from '../../agent/runner.ts';
import { fewOf } from '../../agent/sync-report.ts';
import type { StateSource } from '../../source/state-source.ts';
import type { Config } from '../../config/config.ts';
import type { Logger } from '../../log.ts';
import { createDirectorySource } from '../../source/directory-watch.ts';
import { formatProblem } from '../../source/problem.ts';
import type { ApiClient, ApiRequest } from '../../source/kubernetes/request.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { UsageError } from '../failure.ts';
import { placeOfState } from '../input/place.ts';

/** Where an agent's state comes from, and where its Events go. */
export interface RunSource {
  readonly source: StateSource;
  readonly events: EventSink;
  /** There is no cluster. */
  readonly isStandalone: boolean;
  close(): Promise<void>;
}

/** What a source works with. */
export interface RunSourceEffects {
  readonly effects: CommandEffects;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Refuses a command line that names no place for state, or two. Throws UsageError. */
export function checkPlaceOfState(options: CommandOptions, config: Config, env: CommandEffects['env']): void {
  const place = placeOfState(options, config, env);
  if (options.filenames.includes('-')) throw new UsageError('-f -: standard input cannot be watched');
  if (place === undefined) {
    throw new UsageError(
      'no state: give manifests to watch with -f DIR, or a cluster with --kubeconfig PATH or --master URL (inside a cluster neither is needed)',
    );
  }
}

/** Of many problems that come at once so many have a line of their own in the log. */
const maxLines = 10;

/** Manifests that are watched. */
export function manifestSource(
  options: CommandOptions,
  config: Config,
  { clock, logger }: RunSourceEffects,
): RunSource {
  const { filenames, recursive, allowEmpty } = options;
  const { namespace, serviceClusterIPRanges, nodePortRange, nodeNameOverride } = config;
  const source = createDirectorySource(
    {
      ...{ filenames, recursive, allowEmpty },
      manifests: {
        ...{ namespace, serviceClusterIPRanges, nodePortRange },
        ...(nodeNameOverride === undefined ? {} : { nodeName: nodeNameOverride }),
      },
    },
    {
      after: (delayMs, callback) => clock.after(delayMs, callback),
      onProblems: (problems) => {
        if (problems.length === 0) logger.info('the manifests are good again');
        for (const problem of problems.slice(0, maxLines)) {
          logger.error('manifest not taken; what it last said stays', { problem: formatProblem(problem) });
        }
        const rest = problems.slice(maxLines).map(({ file }) => file);
        if (rest.length > 0) {
          logger.error('more is not taken; portwright render names each', { count: rest.length, files: fewOf(rest) });
        }
      },
      onWarnings: (warnings) => {
        for (const { object, field, reason, message } of warnings.slice(0, maxLines)) {
          logger.warn('an object needs a look', { object, field, reason, message });
        }
        const rest = warnings.slice(maxLines).map(({ object }) => object);
        if (rest.length > 0) {
          logger.warn('more objects need a look; portwright render names each', {
            ...{ count: rest.length, objects: fewOf(rest) },
          });
        }
      },
    },
  );
  return { source, events: { record: () => undefined }, isStandalone: true, close: () => Promise.resolve() };
}

/** The cluster that the configuration names. The client library is only loaded for those who have one. */
export async function clusterSource(config: Config, nodeName: string, run: RunSourceEffects): Promise<RunSource> {
  const { effects, clock, logger, metrics } = run;
  const { createClusterSource } = await import('../../source/kubernetes/cluster.ts');
  const { loadCredentials } = await import('../../source/kubernetes/credentials.ts');
  const { createEventRecorder } = await import('../../source/kubernetes/events.ts');
  const { createClient } = await import('../../source/kubernetes/request.ts');
  const credentials = loadCredentials(config, { env: effects.env });
  const { server, proxy } = credentials;
  if (proxy !== undefined) {
    logger.info('the API server is reached through a proxy', { server: server.host, proxy: proxy.host });
  }
  const sourceEffects = { clock, random: Math.random, log: logger };
  const client = observed(createClient(credentials, sourceEffects), server.host, { clock, metrics });
  const events = createEventRecorder(
    { client, reportingController: 'kube-proxy', reportingInstance: `kube-proxy-${hostname()}` },
    { clock, log: logger, date: () => new Date() },
  );
  const onReconnect = (resource: string, end: string) => {
    metrics.apiReconnected(resource, end);
  };
  const onReceived = (resource: string, count: number) => {
    metrics.received(resource, count);
  };
  return {
    source: createClusterSource({ client, nodeName, onReconnect, onReceived }, sourceEffects),
    events,
    isStandalone: false,
    close: async () => {
      await events.stop();
      client.close();
    },
  };
}

/** The same client, with each request counted. */
function observed(
  client: ApiClient,
  host: string,
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics },
): ApiClient {
  const observe = async <T>(request: ApiRequest, work: (answered: () => void) => Promise<T>): Promise<T> => {
    const startedAt = clock.now();
    const method = request.body === undefined ? 'GET' : 'POST';
    let isTold = false;
    const tell = (code: number | '<error>') => {
      if (!isTold) metrics.apiRequested({ method, code, host, seconds: (clock.now() - startedAt) / 1000 });
      isTold = true;
    };
    const good = method === 'GET' ? 200 : 201;
    try {
      const result = await work(() => {
        tell(good);
      });
      tell(good);
      return result;
    } catch (error) {
      tell(statusOf(error));
      throw error;
    }
  };
  return {
    json: (request) => observe(request, () => client.json(request)),
    stream: (request, receiver) =>
      observe(request, (answered) =>
        client.stream(request, {
          onOpen: () => {
            answered();
            receiver.onOpen();
          },
          onChunk: (chunk) => {
            receiver.onChunk(chunk);
          },
        }),
      ),
    untilReachable: (signal) => client.untilReachable(signal),
    close: () => {
      client.close();
    },
  };
}

function statusOf(error: unknown): number | '<error>' {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' ? status : '<error>';
}
