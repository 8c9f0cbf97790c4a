import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { expect } from 'chai';
import { healthPaths } from '../../src/agent/health-paths.ts';
import { Health } from '../../src/agent/health.ts';
import { createHttpServer, plainAnswer } from '../../src/agent/http-server.ts';
import type { Handler } from '../../src/agent/http-server.ts';
import { closeServer, listen, Listener } from '../../src/agent/listener.ts';
import { FakeClock, settle } from './fake-clock.ts';
import { ask, recordedAnswer } from './recorded-answer.ts';

describe('agent/http-server', () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await Promise.all(servers.splice(0).map(closeServer));
  });

  async function serve(handler: Handler, maxConnections = 64): Promise<number> {
    const server = createHttpServer({ handler, maxConnections, onError: () => undefined });
    servers.push(server);
    await listen(server, { address: '127.0.0.1', port: 0, wildcard: 'both' });
    return (server.address() as AddressInfo).port;
  }

  /** Sends bytes and resolves with all that comes back until the server closes. */
  function exchange(port: number, bytes: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.on('close', () => {
        resolve(text);
      });
      socket.on('error', reject);
      socket.write(bytes);
    });
  }

  function idle(port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        resolve(socket);
      });
      sockets.push(socket);
      socket.once('error', reject);
      socket.on('error', () => undefined);
    });
  }

  function health(seen: { isLeaving: boolean }): Health {
    const state = new Health({ timeoutMs: 60_000, now: () => 0, date: () => new Date() });
    state.started('IPv4');
    state.started('IPv6');
    const taints = seen.isLeaving ? [{ key: 'ToBeDeletedByClusterAutoscaler' }] : [];
    state.setNode({ metadata: { name: 'node-1' }, spec: { taints } });
    return state;
  }

  for (const path of ['/healthz', '/livez'] as const) {
    for (const isLeaving of [false, true]) {
      it(`answers ${path} byte for byte as kube-proxy${isLeaving ? ' on a node that is to be deleted' : ''}`, async () => {
        const answers: unknown[] = [];
        const state = health({ isLeaving });
        const port = await serve(
          healthPaths({ report: () => state.report(), onAnswer: (...seen) => answers.push(seen) }),
        );
        const recorded = recordedAnswer(`iptables${path.replace('/', '-')}${isLeaving ? '-node-to-be-deleted' : ''}`);
        const answer = await ask(port, `${path}?x=1`);
        expect(answer).to.deep.equal(recorded);
        expect(answers).to.deep.equal([[path, isLeaving && path === '/healthz' ? 503 : 200]]);
      });
    }
  }

  it('answers any method, and 404 as kube-proxy elsewhere', async () => {
    const state = health({ isLeaving: false });
    const port = await serve(healthPaths({ report: () => state.report(), onAnswer: () => undefined }));
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      expect((await ask(port, '/healthz', { method })).head[0], method).to.equal('HTTP/1.1 200 OK');
    }
    expect((await ask(port, '/healthz', { method: 'HEAD' })).body).to.equal('');
    expect((await ask(port, 'http://node-1:10256/healthz?x=1')).head[0]).to.equal('HTTP/1.1 200 OK');
    for (const path of ['/', '/healthz/', '/livez/x', '/metrics', '/healthz%00']) {
      expect(await ask(port, path), path).to.deep.equal(recordedAnswer('iptables-10249-nothing'));
    }
    expect((await ask(port, '/readyz')).head[0]).to.equal('HTTP/1.1 503 Service Unavailable');
  });

  it('keeps connections, and closes them when asked to', async () => {
    const port = await serve(() => plainAnswer(200, 'ok'));
    const twice = 'GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const text = await exchange(port, twice);
    expect(text.match(/HTTP\/1.1 200 OK/g)).to.have.length(2);
    expect(text.match(/Connection: close/g)).to.have.length(1);
    expect(text).not.to.match(/keep-alive/i);
  });

  it('answers without reading a body', async () => {
    const port = await serve(() => plainAnswer(200, 'ok'));
    expect(await exchange(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc')).to.match(
      /^HTTP\/1.1 200 OK[^]*Connection: close\r\n\r\nok$/,
    );
  });

  for (const [name, bytes, status] of [
    ['no HTTP', '\u0016\u0003\u0001garbage\r\n\r\n', '400 Bad Request'],
    ['headers without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(9000)}\r\n\r\n`, '431 Request Header Fields Too Large'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx', '400 Bad Request'],
  ] as const) {
    it(`refuses ${name}`, async () => {
      const port = await serve(() => plainAnswer(200, 'ok'));
      expect(await exchange(port, bytes)).to.equal(
        `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`,
      );
      expect((await ask(port, '/')).body).to.equal('ok');
    });
  }

  it('cuts off who asks on and on without waiting for answers', async () => {
    let answered = 0;
    const port = await serve(() => {
      answered++;
      return plainAnswer(200, 'ok');
    });
    await exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000)).catch(() => undefined);
    expect(answered).to.be.below(10);
    expect((await ask(port, '/')).body).to.equal('ok');
  });

  it('answers 500 when a handler fails, and goes on', async () => {
    let calls = 0;
    const port = await serve(() => {
      if (++calls === 1) throw new Error('a mistake of ours');
      return plainAnswer(200, 'ok');
    });
    expect((await ask(port, '/')).head[0]).to.equal('HTTP/1.1 500 Internal Server Error');
    expect((await ask(port, '/')).body).to.equal('ok');
  });

  it('answers while a thousand clients sit on their connections', async () => {
    const port = await serve(() => plainAnswer(200, 'ok'));
    const slow = await Promise.all(Array.from({ length: 1000 }, () => idle(port)));
    for (const socket of slow) socket.write('GET / HT');
    for (let i = 0; i < 20; i++) expect((await ask(port, '/')).body).to.equal('ok');
    await settle();
    const connections = await new Promise<number>((resolve) => {
      servers[0]!.getConnections((_error, count) => {
        resolve(count);
      });
    });
    expect(connections).to.be.at.most(65);
  });

  it('cuts a client that never ends its request', async function () {
    this.timeout(30_000);
    const port = await serve(() => plainAnswer(200, 'ok'));
    expect(await exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\n')).to.match(/^HTTP\/1.1 408 Request Timeout/);
  });

  it('takes both families on the wildcard, or its own only', async () => {
    const both = createHttpServer({
      handler: () => plainAnswer(200, 'both'),
      maxConnections: 8,
      onError: () => undefined,
    });
    servers.push(both);
    await listen(both, { address: '0.0.0.0', port: 0, wildcard: 'both' });
    const { port } = both.address() as AddressInfo;
    expect((await ask(port, '/', { host: '::1' })).body).to.equal('both');
    expect((await ask(port, '/', { host: '127.0.0.1' })).body).to.equal('both');
    const own = ['0.0.0.0', '::'].map((address) => {
      const server = createHttpServer({
        handler: () => plainAnswer(200, address),
        maxConnections: 8,
        onError: () => undefined,
      });
      servers.push(server);
      return server;
    });
    await listen(own[0]!, { address: '0.0.0.0', port: 0, wildcard: 'own' });
    const shared = (own[0]!.address() as AddressInfo).port;
    await listen(own[1]!, { address: '::', port: shared, wildcard: 'own' });
    expect((await ask(shared, '/', { host: '127.0.0.1' })).body).to.equal('0.0.0.0');
    expect((await ask(shared, '/', { host: '::1' })).body).to.equal('::');
  });

  it('tries again every five seconds until the port is free', async () => {
    const holder = createHttpServer({
      handler: () => plainAnswer(200, 'holder'),
      maxConnections: 8,
      onError: () => undefined,
    });
    await listen(holder, { address: '127.0.0.1', port: 0, wildcard: 'both' });
    const { port } = holder.address() as AddressInfo;
    const server = createHttpServer({
      handler: () => plainAnswer(200, 'ours'),
      maxConnections: 8,
      onError: () => undefined,
    });
    const clock = new FakeClock();
    const failures: Error[] = [];
    const listening = new Promise<void>((resolve) => {
      const bind = { address: '127.0.0.1', port, wildcard: 'both' } as const;
      const listener = new Listener({
        server,
        bind,
        clock,
        onFailure: (error) => failures.push(error),
        onListening: resolve,
      });
      servers.push(server);
      listener.open();
    });
    await eventually(() => failures.length === 1);
    await clock.advance(5000);
    await eventually(() => failures.length === 2);
    expect(failures[0]!.message).to.match(new RegExp(`^cannot listen on 127.0.0.1:${port}: listen EADDRINUSE`));
    expect((failures[0]!.cause as NodeJS.ErrnoException).code).to.equal('EADDRINUSE');
    await closeServer(holder);
    await clock.advance(5000);
    await listening;
    expect((await ask(port, '/')).body).to.equal('ours');
  });
});

async function eventually(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 2));
}
