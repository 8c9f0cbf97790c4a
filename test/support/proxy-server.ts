import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** A proxy of a test: it leads every client to one place, whatever name they ask for. */
export interface ProxyServer {
  /** `http://127.0.0.1:PORT`, or `https:`, or `socks5:`. */
  readonly url: string;
  readonly port: number;
  /** What was asked for, `HOST:PORT`, with the credentials that came along. */
  readonly asked: { readonly target: string; readonly authorization: string | undefined }[];
  /** Answers so from now on; 0 not at all. */
  answer(status: number): void;
  /** Connections that stand. */
  readonly open: () => number;
  close(): Promise<void>;
}

/** How it is served. */
export interface ProxyServerOptions {
  /** Speaks TLS with this certificate. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly port?: number;
}

/** Starts a proxy that knows CONNECT and nothing else, and leads to this port of the loopback. */
export async function startProxyServer(targetPort: number, options: ProxyServerOptions = {}): Promise<ProxyServer> {
  const asked: { target: string; authorization: string | undefined }[] = [];
  let status = 200;
  const server = options.tls === undefined ? createServer() : createTlsServer(options.tls);
  server.on('request', (_, response) => response.writeHead(405).end('only CONNECT'));
  server.on('connect', (request, client: Socket) => {
    asked.push({ target: request.url ?? '', authorization: request.headers['proxy-authorization'] });
    client.on('error', () => client.destroy());
    client.on('end', () => client.destroy());
    if (status === 0) {
      client.resume();
      return;
    }
    if (status !== 200) {
      client.end(`HTTP/1.1 ${status} Not Today\r\n\r\nthe proxy's own page`);
      return;
    }
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    join(client, targetPort);
  });
  return await started(server, options.tls === undefined ? 'http' : 'https', options.port, {
    asked,
    answer: (next) => {
      status = next;
    },
  });
}

/** Starts a SOCKS 5 proxy (RFC 1928) that wants a name and password (RFC 1929) and leads to this port of the loopback. */
export async function startSocksServer(targetPort: number): Promise<ProxyServer> {
  const asked: { target: string; authorization: string | undefined }[] = [];
  let status = 200;
  const server = createTcpServer((client) => {
    let authorization = '';
    client.on('error', () => client.destroy());
    client.once('data', () => {
      client.write(Buffer.from([5, 2]));
      client.once('data', (user) => {
        const name = user.subarray(2, 2 + user[1]!);
        authorization = `${name.toString()}:${user.subarray(3 + name.length).toString()}`;
        client.write(Buffer.from([1, 0]));
        client.once('data', (request) => {
          const target = `${request.subarray(5, -2).toString()}:${request.readUInt16BE(request.length - 2)}`;
          asked.push({ target, authorization });
          client.write(Buffer.from([5, status === 200 ? 0 : 5, 0, 1, 0, 0, 0, 0, 0, 0]));
          if (status === 200) join(client, targetPort);
          else client.end();
        });
      });
    });
  });
  return await started(server, 'socks5', undefined, {
    asked,
    answer: (next) => {
      status = next;
    },
  });
}

function join(client: Socket, port: number): void {
  const target = connect(port, '127.0.0.1');
  target.on('error', () => client.destroy());
  client.on('close', () => target.destroy());
  target.on('close', () => client.destroy());
  client.pipe(target).pipe(client);
}

async function started(
  server: Server,
  scheme: string,
  port: number | undefined,
  parts: Pick<ProxyServer, 'asked' | 'answer'>,
): Promise<ProxyServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port ?? 0, '127.0.0.1', resolve));
  const bound = (server.address() as AddressInfo).port;
  return {
    ...{ ...parts, port: bound, url: `${scheme}://127.0.0.1:${bound}`, open: () => sockets.size },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
