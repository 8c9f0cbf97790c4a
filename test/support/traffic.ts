import type { Lab } from './lab.ts';
import { ownerOf, places } from './lab-topology.ts';
import type { Load, LoadReport, Probe } from './prober-messages.ts';

/** Somebody to connect to, again and again, from `source`. */
export type Target = Omit<Probe, 'timeoutMs'>;

/** How much traffic, in each namespace that targets start from. */
export interface TrafficOptions {
  /** New connections in flight at any time. Default 4. */
  readonly concurrency?: number;
  /** Before each new connection, of those that wait for their turn one after the other. Default 0. */
  readonly pauseMs?: number;
  /** TCP connections per target that stay open and are used all the time. Default 0. */
  readonly longLived?: number;
  /** A connection without answer for so long has failed. Default 10 s, in which a lost packet is sent again. */
  readonly timeoutMs?: number;
}

/**
 * Keeps up traffic through the lab until the returned function is called, which tells what became of it. Every
 * connection that was begun is waited for. A packet that rules drop costs a TCP connection a second and fails a
 * UDP one with a `timeoutMs` below that: choose it by what is to be shown.
 */
export async function startTraffic(
  lab: Lab,
  targets: readonly Target[],
  { concurrency = 4, pauseMs = 0, longLived = 0, timeoutMs = 10_000 }: TrafficOptions = {},
): Promise<() => Promise<LoadReport>> {
  const senders = places.filter((place) => targets.some(({ source }) => ownerOf(source) === place));
  const stops = await Promise.all(
    senders.map((place) => {
      const own = targets.filter(({ source }) => ownerOf(source) === place);
      const load: Load = { targets: own.map((target) => ({ ...target, timeoutMs })), concurrency, pauseMs, longLived };
      return lab.prober(place).startTraffic(load);
    }),
  );
  return async () => sum(await Promise.all(stops.map((stop) => stop())));
}

function sum(reports: readonly LoadReport[]): LoadReport {
  const total = (count: (report: LoadReport) => number) => reports.reduce((all, report) => all + count(report), 0);
  const servers = new Set(reports.flatMap(({ reached }) => Object.keys(reached)));
  return {
    attempts: total(({ attempts }) => attempts),
    failures: total(({ failures }) => failures),
    longLivedMessages: total(({ longLivedMessages }) => longLivedMessages),
    longLivedFailures: total(({ longLivedFailures }) => longLivedFailures),
    examples: reports.flatMap(({ examples }) => examples),
    reached: Object.fromEntries([...servers].map((server) => [server, total(({ reached }) => reached[server] ?? 0)])),
  };
}
