import type { Transport } from '../support/prober-messages.ts';

/** How an endpoint sees the client: its own address, one of the node's, or whichever (the endpoint is the node). */
export type SeenSource = 'kept' | 'snat' | 'any';

/** What must happen to the first packet of a connection. */
export type Expectation =
  | {
      readonly verdict: 'endpoint';
      /** Every endpoint that may be chosen, and all of them must be; keys as `10.244.1.11:8080` or `[fd00::1]:8080`. */
      readonly endpoints: ReadonlyMap<string, SeenSource>;
      /** One client stays on one endpoint. */
      readonly hasAffinity: boolean;
    }
  | { readonly verdict: 'reject' | 'drop' | 'host' | 'pass' };

/** A client, what it dials, and what must come of it. */
export interface Flow {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly protocol: Transport | 'sctp';
  readonly expect: Expectation;
}

/** The flow in words, for messages. */
export function describeFlow({ protocol, source, destination, port }: Flow): string {
  return `${protocol} ${source} to ${endpointKey(destination, port)}`;
}

/** An address and port as the corpus writes them. */
export function endpointKey(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
