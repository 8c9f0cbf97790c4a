import type { Server } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { createHttpServer, plainAnswer } from '../../src/agent/http-server.ts';
import { closeServer, listen } from '../../src/agent/listener.ts';
import { systemClock } from '../../src/agent/runner.ts';
import { openServer } from '../../src/agent/server.ts';
import type { Logger } from '../../src/log.ts';
import { ask } from './recorded-answer.ts';

describe('agent/server', () => {
  function setUp() {
    const lines: string[] = [];
    let heard: () => void = () => undefined;
    const note = (message: string, fields = {}) => {
      lines.push(`${message} ${JSON.stringify(fields)}`);
      heard();
    };
    const logger: Logger = { info: note, warn: note, error: note, debug: () => undefined, isEnabled: () => false };
    const nextLine = () =>
      new Promise<void>((resolve) => {
        heard = resolve;
      });
    return { lines, logger, nextLine };
  }

  async function freePort(): Promise<number> {
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(0, '127.0.0.1', resolve);
    });
    const { port } = holder.address() as AddressInfo;
    await new Promise((resolve) => holder.close(resolve));
    return port;
  }

  const defaults = { name: 'health', clock: systemClock, onBindFailure: () => undefined };

  it('serves until it is closed, and logs failures of a handler', async () => {
    const { lines, logger, nextLine } = setUp();
    const bind = { address: '127.0.0.1', port: await freePort() };
    const heard = nextLine();
    const handler = ({ path }: { path: string }) => {
      if (path === '/bad') throw new Error('a mistake of ours');
      return plainAnswer(200, 'ok');
    };
    const server = openServer({ ...defaults, bind, handler, logger });
    await heard;
    expect(lines).to.deep.equal([`Serving {"server":"health","address":"127.0.0.1:${bind.port}"}`]);
    expect((await ask(bind.port, '/')).body).to.equal('ok');
    await ask(bind.port, '/bad');
    expect(lines.at(-1)).to.match(/^Failed to answer a request/);
    await server.close();
    expect(
      await ask(bind.port, '/').then(
        () => 'served',
        () => 'refused',
      ),
    ).to.equal('refused');
  });

  it('tells of a port that is taken, and can be closed while it tries', async () => {
    const { lines, logger, nextLine } = setUp();
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(0, '127.0.0.1', resolve);
    });
    const bind = { address: '127.0.0.1', port: (holder.address() as AddressInfo).port };
    const failures: Error[] = [];
    const heard = nextLine();
    const onBindFailure = (error: Error) => failures.push(error);
    const server = openServer({ ...defaults, bind, handler: () => plainAnswer(200, 'ok'), logger, onBindFailure });
    await heard;
    expect(lines[0]).to.match(/^Failed to listen; trying again every 5 s .*"address":"127.0.0.1:\d+"/);
    const where = `127.0.0.1:${bind.port}`;
    expect(failures).to.have.length(1);
    expect(failures[0]!.message).to.equal(
      `cannot listen on ${where}: listen EADDRINUSE: address already in use ${where}`,
    );
    await server.close();
    await new Promise((resolve) => holder.close(resolve));
  });

  it('is not more of a burden the longer a port is taken', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(0, '127.0.0.1', resolve);
    });
    const bind = { address: '127.0.0.1', port: (holder.address() as AddressInfo).port, wildcard: 'own' } as const;
    const handler = () => plainAnswer(200, 'ok');
    const server = createHttpServer({ handler, maxConnections: 1, onError: () => undefined });
    const before = listenersOf(server);
    const outcome = await listen(server, bind).then(
      () => 'listening',
      () => 'refused',
    );
    const after = listenersOf(server);
    await new Promise((resolve) => holder.close(resolve));
    expect({ outcome, after }).to.deep.equal({ outcome: 'refused', after: before });
    await listen(server, bind);
    expect((await ask(bind.port, '/')).body).to.equal('ok');
    await closeServer(server);
  });

  function listenersOf(server: Server): readonly number[] {
    return ['listening', 'error'].map((event) => server.listenerCount(event));
  }
});
