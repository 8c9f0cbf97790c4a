import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { loadAll } from 'js-yaml';

import { isInLab, nodeAddresses } from '../support/lab-topology.ts';
import type { Listener, Transport } from '../support/prober-messages.ts';
import type { Expectation, Flow, SeenSource } from './flow.ts';

/** Which back half of the path made the rules: flows differ between the two where the modes differ on purpose. */
export type Mode = 'iptables' | 'nftables';

/** One folder of the corpus: a cluster's state and what must become of packets. */
export interface RulesCase {
  readonly name: string;
  /** The folder's absolute path. */
  readonly directory: string;
  /** Localhost node ports need `route_localnet` on the node. */
  readonly hasLocalhostNodePorts: boolean;
  flows(mode: Mode): readonly Flow[];
  /** Every address and port that must have a server: endpoints, unready ones too, and what the node may answer itself. */
  readonly listeners: readonly Listener[];
}

interface RecordedExpectation {
  readonly verdict: Expectation['verdict'];
  readonly endpoints?: Readonly<Record<string, SeenSource>>;
  readonly affinity?: boolean;
}

interface RecordedFlow {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly protocol: Transport | 'sctp';
  readonly expect?: RecordedExpectation;
  readonly iptables?: RecordedExpectation;
  readonly nftables?: RecordedExpectation;
}

const corpus = join(import.meta.dirname, '../corpus/rules');

/** The names of all cases, sorted. */
export const caseNames: readonly string[] = readdirSync(corpus).sort();

/** Reads one case. */
export function readCase(name: string): RulesCase {
  const directory = join(corpus, name);
  const lines = readFileSync(join(directory, 'flows.jsonl'), 'utf8').split('\n').filter(Boolean);
  const recorded = lines.map((line) => JSON.parse(line) as RecordedFlow);
  const config = readFileSync(join(directory, 'config.yaml'), 'utf8');
  return {
    name,
    directory,
    hasLocalhostNodePorts: config.includes('localhostNodePorts: true'),
    flows: (mode) => recorded.map((flow) => ({ ...flow, expect: expectation(flow, mode) })),
    listeners: [...endpointListeners(directory), ...hostListeners(recorded)],
  };
}

function expectation(flow: RecordedFlow, mode: Mode): Expectation {
  const found = flow[mode] ?? flow.expect;
  if (found === undefined) throw new Error(`a recorded flow says nothing about ${mode}: ${JSON.stringify(flow)}`);
  if (found.verdict !== 'endpoint') return { verdict: found.verdict };
  const endpoints = new Map(Object.entries(found.endpoints ?? {}));
  return { verdict: 'endpoint', endpoints, hasAffinity: found.affinity === true };
}

interface SliceDocument {
  readonly kind: string;
  readonly endpoints?: readonly { readonly addresses: readonly string[] }[];
  readonly ports?: readonly { readonly port: number; readonly protocol?: string }[];
}

/** Endpoints that must not be chosen have servers too, so that choosing them shows as an answer, not as a reject. */
function endpointListeners(directory: string): readonly Listener[] {
  const documents = loadAll(readFileSync(join(directory, 'state.yaml'), 'utf8')) as readonly SliceDocument[];
  return documents
    .filter(({ kind }) => kind === 'EndpointSlice')
    .flatMap(({ endpoints = [], ports = [] }) =>
      endpoints.flatMap(({ addresses }) =>
        addresses.filter(isInLab).flatMap((address) =>
          ports.flatMap(({ port, protocol = 'TCP' }): readonly Listener[] => {
            if (protocol === 'SCTP') return [];
            return [{ protocol: protocol === 'UDP' ? 'udp' : 'tcp', address, port }];
          }),
        ),
      ),
    );
}

const ownAddresses = new Set([...nodeAddresses, '127.0.0.1', '::1']);

function hostListeners(flows: readonly RecordedFlow[]): readonly Listener[] {
  return flows.flatMap(({ destination: address, port, protocol }) =>
    protocol !== 'sctp' && ownAddresses.has(address) ? [{ protocol, address, port }] : [],
  );
}
