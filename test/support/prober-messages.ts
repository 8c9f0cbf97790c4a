/** The two protocols the lab speaks by sockets. */
export type Transport = 'tcp' | 'udp';

/** An address and port that a namespace serves. */
export interface Listener {
  readonly protocol: Transport;
  readonly address: string;
  readonly port: number;
}

/** What a server says to whoever reaches it. */
export interface Identity {
  /** The namespace's label. */
  readonly name: string;
  /** The server's own address and port: where the connection really ended. */
  readonly address: string;
  readonly port: number;
  /** The source address the server saw. */
  readonly client: string;
}

/** One connection to try. */
export interface Probe {
  readonly protocol: Transport;
  readonly source: string;
  /** Of UDP, to send on a flow that is there already; else a fresh one. */
  readonly sourcePort?: number;
  readonly destination: string;
  readonly port: number;
  readonly timeoutMs: number;
}

/** What became of one probe. */
export type Outcome =
  | { readonly kind: 'answer'; readonly from: Identity }
  /** TCP reset or an ICMP error that says "port unreachable". */
  | { readonly kind: 'refused' }
  | { readonly kind: 'silence' }
  /** Anything else the kernel said, by its error code. */
  | { readonly kind: 'error'; readonly code: string };

/** SCTP INIT chunks to send, each in a UDP datagram of its own (see `test/packets/sctp.ts`). */
export interface Inits {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  /** Each datagram comes from the next port. */
  readonly firstPort: number;
  readonly count: number;
}

/** Traffic to keep up: new connections as fast as `concurrency` and pauses allow, and connections that stay. */
export interface Load {
  readonly targets: readonly Probe[];
  /** New connections in flight at any time, over all targets. */
  readonly concurrency: number;
  /** Before each of them (default 0). */
  readonly pauseMs?: number;
  /** Connections per TCP target that stay open and send a line every 20 ms. */
  readonly longLived: number;
}

/** What a load saw until it was stopped. */
export interface LoadReport {
  readonly attempts: number;
  readonly failures: number;
  readonly longLivedMessages: number;
  readonly longLivedFailures: number;
  /** The first failures in words, at most 20. */
  readonly examples: readonly string[];
  /** How often each server, as `address:port`, was reached. */
  readonly reached: Readonly<Record<string, number>>;
}

/** What the prober understands; every command is answered with its `id`. */
export type Command = { readonly id: number } & Request;

export type Request =
  | { readonly do: 'listen'; readonly name: string; readonly listeners: readonly Listener[] }
  | { readonly do: 'probe'; readonly probe: Probe; readonly count: number }
  | { readonly do: 'send inits'; readonly inits: Inits }
  | { readonly do: 'start traffic'; readonly load: Load }
  | { readonly do: 'stop traffic'; readonly traffic: number }
  /** Empties the lists by which iptables rules remember clients (session affinity). */
  | { readonly do: 'forget clients' };
