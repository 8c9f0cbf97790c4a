import { once } from 'node:events';
import type { Server } from 'node:http';
import { isIPv6 } from 'node:net';
import { addressAndPort } from '../source/address.ts';
import type { Clock } from './runner.ts';

/** Where to listen. */
export interface BindAddress {
  readonly address: string;
  readonly port: number;
  /**
   * Which packets a wildcard address takes: `both` families whichever wildcard it is, as the health and metrics
   * servers; or its `own` only, as the servers of health check node ports. For other addresses it makes no difference.
   */
  readonly wildcard: 'both' | 'own';
}

export interface ListenerOptions {
  readonly server: Server;
  readonly bind: BindAddress;
  readonly clock: Clock;
  /** Called at each failure to listen, with a message that names the address. */
  readonly onFailure: (error: Error) => void;
  readonly onListening: () => void;
}

const retryMs = 5_000;

/** Keeps a server listening: a port that is taken, or an address that does not exist yet, is tried again for ever. */
export class Listener {
  readonly #options: ListenerOptions;
  #isClosed = false;
  #cancelRetry: () => void = () => undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  open(): void {
    const { server, bind, onListening } = this.#options;
    listen(server, bind).then(
      () => {
        if (this.#isClosed) server.close();
        else onListening();
      },
      (error: unknown) => {
        this.#failed(error);
      },
    );
  }

  /** Stops listening and cuts what is connected. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry();
    await closeServer(this.#options.server);
  }

  #failed(cause: unknown): void {
    if (this.#isClosed) return;
    const { bind, clock, onFailure } = this.#options;
    onFailure(
      new Error(`cannot listen on ${addressAndPort(bind.address, bind.port)}: ${(cause as Error).message}`, { cause }),
    );
    this.#cancelRetry = clock.after(retryMs, () => {
      this.open();
    });
  }
}

/** Resolves when the server listens, rejects when it cannot. */
export async function listen(server: Server, bind: BindAddress): Promise<void> {
  if (bind.wildcard === 'own' || !isWildcard(bind.address)) {
    await listenOnce(server, { host: bind.address, port: bind.port, ipv6Only: isIPv6(bind.address) });
    return;
  }
  try {
    await listenOnce(server, { host: '::', port: bind.port, ipv6Only: false });
  } catch (error) {
    // A host without IPv6.
    if (!isNoSuchFamily(error)) throw error;
    await listenOnce(server, { host: '0.0.0.0', port: bind.port, ipv6Only: false });
  }
}

async function listenOnce(server: Server, where: { host: string; port: number; ipv6Only: boolean }): Promise<void> {
  // Whichever comes takes both listeners away: a port may be taken for days.
  await once(server.listen({ ...where }), 'listening');
}

/** Resolves when the server no longer listens and nothing is connected. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

function isNoSuchFamily(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL' || code === 'EINVAL';
}
