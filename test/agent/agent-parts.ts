import { Agent } from '../../src/agent/agent.ts';
import type { AgentEffects } from '../../src/agent/agent.ts';
import { Health } from '../../src/agent/health.ts';
import { createMetrics } from '../../src/agent/metrics.ts';
import type { EventRecord } from '../../src/source/kubernetes/events.ts';
import type { StateSource } from '../../src/source/state-source.ts';
import { parseConfig } from '../../src/config/config.ts';
import type { UdpFlow } from '../../src/kernel/conntrack.ts';
import type { ListeningSocket } from '../../src/kernel/listening-sockets.ts';
import type { MonitorHandlers } from '../../src/kernel/monitor.ts';
import type { Logger } from '../../src/log.ts';
import type { ClusterState } from '../../src/source/objects.ts';
import { FakeKernel } from '../support/fake-kernel.ts';
import { FakeClock } from './fake-clock.ts';

/** A source whose state the test sets. */
export class FakeSource implements StateSource {
  #state: ClusterState | undefined;
  readonly #listeners = new Set<Parameters<StateSource['onChange']>[0]>();

  start(): void {
    // The test says when.
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  snapshot(): ClusterState | undefined {
    return this.#state;
  }

  onChange(listener: Parameters<StateSource['onChange']>[0]): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  becomes(state: ClusterState, slices = 0): void {
    this.#state = state;
    for (const listener of this.#listeners) listener({ triggers: [], slices });
  }
}

export interface AgentPartsOptions {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly isStandalone?: boolean;
  readonly isDryRun?: boolean;
  readonly effects?: Partial<AgentEffects>;
}

/** An agent of IPv4 with everything around it made of memory. */
export async function agentParts(options: AgentPartsOptions = {}) {
  const { config } = await parseConfig({ ipFamily: 'IPv4', ...options.flags }, () => '');
  const clock = new FakeClock();
  const kernel = new FakeKernel();
  const source = new FakeSource();
  const date = () => new Date(clock.now());
  const health = new Health({ timeoutMs: 60_000, now: () => clock.now(), date });
  const lines: string[] = [];
  const events: EventRecord[] = [];
  const fatal: string[] = [];
  const flows: UdpFlow[] = [];
  const settled: string[] = [];
  const listeners: ListeningSocket[] = [];
  let monitor: MonitorHandlers | undefined;
  let tellAddresses: (addresses: readonly string[]) => void = () => undefined;
  const metrics = await createMetrics({
    ...{ mode: 'iptables', families: 1, version: '0.0.0', now: () => clock.now() / 1000 },
    ...{ readiness: () => new Map(), features: new Map() },
  });
  const agent = new Agent({
    ...{ config, nodeName: 'node-1', source, clock, date, health },
    isStandalone: options.isStandalone ?? false,
    isDryRun: options.isDryRun ?? false,
    families: [{ backend: kernel.backend(), isWatched: true }],
    logger: lineLogger(lines),
    metrics,
    events: { record: (event) => events.push(event) },
    effects: {
      startMonitor: (handlers) => {
        monitor = handlers;
        const during = <T>(work: () => Promise<T>) => work();
        return { listening: () => Promise.resolve(), deafTo: during, mustHear: during, stop: () => undefined };
      },
      ownProcessName: 'portwright-0000',
      watchHost: (onAddresses) => {
        tellAddresses = onAddresses;
        return { stop: () => undefined };
      },
      tracksLiberally: () => Promise.resolve(false),
      conntrack: {
        listUdp: () => Promise.resolve(flows),
        delete: (gone) => {
          for (const flow of gone) flows.splice(flows.indexOf(flow), 1);
          return Promise.resolve();
        },
      },
      listeners: (isWanted) => Promise.resolve(listeners.filter(isWanted)),
      settle: (backend) => {
        settled.push(backend.family);
        return Promise.resolve([]);
      },
      onPlan: () => undefined,
      onFatal: (reason) => fatal.push(reason),
      ...options.effects,
    },
  });
  return {
    ...{ agent, clock, kernel, source, health, metrics, lines, events, fatal, flows, settled, listeners },
    monitor: () => monitor,
    tellAddresses: (addresses: readonly string[]) => {
      tellAddresses(addresses);
    },
    isReady: () => [...health.report().families.values()].every(({ notReady }) => notReady === undefined),
  };
}

function lineLogger(lines: string[]): Logger {
  const write =
    (level: string) =>
    (message: string, fields: object = {}) => {
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
    };
  return {
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    debug: () => undefined,
    isEnabled: () => false,
  };
}
