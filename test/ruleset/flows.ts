import { parseAddress } from '../../src/ruleset/walk-address.ts';
import { hostOf } from '../../src/ruleset/walk-host.ts';
import type { Outcome } from '../../src/ruleset/walk-outcome.ts';
import type { Host, Packet } from '../../src/ruleset/walk-program.ts';
import { corpusFile } from '../support/corpus.ts';
import { nodeAddresses } from '../support/lab-topology.ts';

/** What the first packet of a connection met with in a real cluster, for one line of `flows.jsonl`. */
export interface Flow {
  readonly from: 'outside' | 'pod' | 'node';
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly expect?: Expectation;
  readonly iptables?: Expectation;
  readonly nftables?: Expectation;
}

export interface Expectation {
  readonly verdict: string;
  readonly endpoints?: Readonly<Record<string, string>>;
  readonly affinity?: boolean;
}

export function flowsOf(name: string): readonly Flow[] {
  const lines = corpusFile(name, 'flows.jsonl').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Flow);
}

/** The node on which everything was recorded. */
export function recordedHost(): Host {
  return hostOf({
    addresses: nodeAddresses,
    primaryAddresses: ['172.18.0.11', 'fd00:18::11'],
    podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
  });
}

/** The packet of a flow; it comes in where the machine that sent it is plugged in. */
export function packetOf(flow: Flow): Packet {
  return {
    source: parseAddress(flow.source)!,
    destination: parseAddress(flow.destination)!,
    port: flow.port,
    protocol: flow.protocol,
    isFromHost: flow.from === 'node',
    ...(flow.from === 'node' ? {} : { inInterface: flow.from === 'pod' ? 'br0' : 'eth0' }),
  };
}

/** An outcome in the words of `flows.jsonl`. */
export function inWords(outcome: Outcome): Expectation {
  if (outcome.verdict !== 'endpoint') return { verdict: outcome.verdict };
  const named = outcome.endpoints.map(({ address, port, source }) => [endpointName(address, port), source] as const);
  return {
    verdict: 'endpoint',
    endpoints: Object.fromEntries(named.sort()),
    ...(outcome.affinity ? { affinity: true } : {}),
  };
}

/** An expectation with its endpoints in the order of `inWords`. */
export function sorted(expectation: Expectation): Expectation {
  const { endpoints } = expectation;
  if (endpoints === undefined) return expectation;
  return { ...expectation, endpoints: Object.fromEntries(Object.entries(endpoints).sort()) };
}

function endpointName(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
