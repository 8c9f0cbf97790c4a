import type { BindAddress } from '../config/bind-address.ts';
import type { Logger } from '../log.ts';
import { addressAndPort } from '../source/address.ts';
import { createHttpServer } from './http-server.ts';
import type { Handler } from './http-server.ts';
import { Listener } from './listener.ts';
import type { Clock } from './runner.ts';

export interface ServerOptions {
  /** For the log: `health` or `metrics`. */
  readonly name: string;
  readonly bind: BindAddress;
  readonly handler: Handler;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called at each failure to listen; `bindAddressHardFail` ends the agent here. Without an end it is tried again. */
  readonly onBindFailure: (error: Error) => void;
}

/** One of the agent's own servers, listening or trying to. */
export interface Server {
  close(): Promise<void>;
}

const maxConnections = 64;

/** Serves on an address, for both families when it is a wildcard, until it is closed. */
export function openServer({ name, bind, handler, clock, logger, onBindFailure }: ServerOptions): Server {
  const about = { server: name, address: addressAndPort(bind.address, bind.port) };
  const onError = (error: unknown) => {
    logger.error('Failed to answer a request', { ...about, error });
  };
  const listener = new Listener({
    server: createHttpServer({ handler, maxConnections, onError }),
    bind: { ...bind, wildcard: 'both' },
    clock,
    onListening: () => {
      logger.info('Serving', about);
    },
    onFailure: (error) => {
      logger.error('Failed to listen; trying again every 5 s', { ...about, error });
      onBindFailure(error);
    },
  });
  listener.open();
  return { close: () => listener.close() };
}
