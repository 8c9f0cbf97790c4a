import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterState } from '../../src/source/objects.ts';
import type { StateChange } from '../../src/source/state-source.ts';
import type { ClusterSource } from '../../src/source/kubernetes/cluster.ts';
import { createClusterSource } from '../../src/source/kubernetes/cluster.ts';
import { loadCredentials } from '../../src/source/kubernetes/credentials.ts';
import type { Log } from '../../src/source/kubernetes/effects.ts';
import type { ApiClient, ClientLimits } from '../../src/source/kubernetes/request.ts';
import { createClient } from '../../src/source/kubernetes/request.ts';
import type { ApiObject } from './fake-api-storage.ts';
import type { FakeApiServer } from './fake-api-server.ts';
import { ManualClock } from './manual-clock.ts';

/** A cluster source that follows a fake API server, with a clock of the test's own. */
export interface ClusterLab {
  readonly clock: ManualClock;
  readonly client: ApiClient;
  readonly source: ClusterSource;
  readonly changes: StateChange[];
  /** Every watch that was opened again: the resource, and what ended the one before. */
  readonly reconnects: string[];
  /** Everything logged, a line an entry. */
  readonly lines: string[];
  /** Starts it and waits for the first snapshot. */
  ready(): Promise<ClusterState>;
  snapshot(): ClusterState;
  /** Names of the Services in the snapshot. */
  names(): readonly string[];
  /** Waits, by the lab's clock, until the Services of the snapshot have these names. */
  sees(names: readonly string[], withinMs?: number): Promise<void>;
  end(): Promise<void>;
}

/** Options of a lab; the kubeconfig is the server's own unless given. */
export interface ClusterLabOptions {
  readonly kubeconfig?: string;
  readonly silenceMs?: number;
  readonly nodeName?: string;
  readonly limits?: Partial<ClientLimits>;
}

/** Makes a lab around a server; the source is not started yet. */
export function createClusterLab(server: FakeApiServer, options: ClusterLabOptions = {}): ClusterLab {
  const directory = mkdtempSync(join(tmpdir(), 'pw-cluster-'));
  const path = join(directory, 'kubeconfig');
  writeFileSync(path, options.kubeconfig ?? server.kubeconfig());
  const clock = new ManualClock();
  const lines: string[] = [];
  const effects = { clock, random: () => 0.5, log: lineLog(lines) };
  const client = createClient(loadCredentials({ kubeconfig: path }, { env: {} }), effects, options.limits);
  const reconnects: string[] = [];
  const onReconnect = (resource: string, end: string) => reconnects.push(`${resource} ${end}`);
  const source = createClusterSource({ client, nodeName: 'node-1', onReconnect, ...options }, effects);
  const changes: StateChange[] = [];
  source.onChange((change) => changes.push(change));
  const snapshot = () => {
    const state = source.snapshot();
    if (state === undefined) throw new Error('the source has no snapshot yet');
    return state;
  };
  const names = () => (source.snapshot()?.services ?? []).map(({ metadata }) => metadata.name);
  return {
    clock,
    client,
    source,
    changes,
    reconnects,
    lines,
    ready: async () => {
      source.start();
      await clock.runUntil('the first snapshot', () => source.snapshot() !== undefined);
      return snapshot();
    },
    snapshot,
    names,
    sees: (expected, withinMs = 60_000) =>
      clock.runUntil(`services ${expected.join()}`, () => names().join() === expected.join(), {
        withinMs,
        stepMs: withinMs / 200,
      }),
    end: async () => {
      await source.stop();
      client.close();
      rmSync(directory, { recursive: true });
    },
  };
}

/** A log that keeps what it is told as text. */
export function lineLog(lines: string[]): Log {
  const write = (level: string, message: string, fields: object = {}) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  return {
    info: (message, fields) => {
      write('info', message, fields);
    },
    warn: (message, fields) => {
      write('warn', message, fields);
    },
    debug: (level, message, fields) => {
      write(`debug${level}`, message, fields);
    },
  };
}

/** A Service as an API server holds it. */
export function apiService(name: string, spec: object = {}, metadata: object = {}): ApiObject {
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }];
  return {
    kind: 'Service',
    metadata: { name, namespace: 'default', ...metadata },
    spec: { type: 'ClusterIP', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports, ...spec },
    status: { loadBalancer: {} },
  };
}

/** An EndpointSlice of a Service as an API server holds it. */
export function apiSlice(
  name: string,
  service: string,
  addresses: readonly string[],
  metadata: object = {},
): ApiObject {
  return {
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': service }, ...metadata },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true }, nodeName: 'node-1' })),
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  };
}
