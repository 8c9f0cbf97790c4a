import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What is sent back. Header names are sent as spelled, in this order. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** What is asked for; `path` is without the query, `accept` the header or empty. Bodies are not read. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly accept: string;
}

/** Answers one request. A promise may take its time, other requests do not wait for it. */
export type Handler = (request: Request) => Answer | Promise<Answer>;

export interface HttpServerOptions {
  readonly handler: Handler;
  readonly maxConnections: number;
  /** A handler failed: our mistake. The client gets 500. */
  readonly onError: (error: unknown) => void;
}

const maxHeaderBytes = 8 * 1024;
const headersTimeoutMs = 5_000;
const requestTimeoutMs = 10_000;
const keepAliveMs = 30_000;
// Who sends requests by the thousand without reading answers would otherwise have all of our time.
const maxUnanswered = 4;

/**
 * A server for small answers that clients cannot hurt: headers are bounded in size and time, bodies are not read, who
 * asks on and on without waiting for answers is cut off, and when all connections are taken the one that has been idle
 * longest makes room, so that clients which only sit there do not keep a health check out.
 */
export function createHttpServer(options: HttpServerOptions): Server {
  const isOverdoing = countUnanswered();
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      if (isOverdoing(request.socket, response)) request.socket.destroy();
      else void respond(options, request, response);
    },
  );
  // A client that does not read its answer.
  server.setTimeout(keepAliveMs);
  limitConnections(server, options.maxConnections);
  server.on('clientError', refuse);
  return server;
}

/** Counts the requests of a connection that were not answered yet; the parser brings all that one packet holds at once. */
function countUnanswered(): (socket: Socket, response: ServerResponse) => boolean {
  const unanswered = new WeakMap<Socket, number>();
  return (socket, response) => {
    const count = (unanswered.get(socket) ?? 0) + 1;
    unanswered.set(socket, count);
    response.on('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    return count > maxUnanswered;
  };
}

async function respond(
  { handler, onError }: HttpServerOptions,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let answer: Answer;
  try {
    answer = await handler(requestOf(message));
  } catch (error) {
    onError(error);
    answer = plainAnswer(500, 'Internal Server Error\n');
  }
  if (!response.destroyed) send(response, answer, isLast(message));
}

function requestOf(message: IncomingMessage): Request {
  // Whoever asks as through a proxy names the server too.
  const target = (message.url ?? '/').replace(/^https?:\/\/[^/?]*/i, '');
  const end = target.indexOf('?');
  return {
    method: message.method ?? 'GET',
    path: end === -1 ? target : target.slice(0, end),
    query: new URLSearchParams(end === -1 ? '' : target.slice(end + 1)),
    accept: message.headers.accept ?? '',
  };
}

/** The client wants to close, or sends a body, which closing saves us from reading. */
function isLast({ headers }: IncomingMessage): boolean {
  return (
    headers.connection?.toLowerCase() === 'close' ||
    headers['transfer-encoding'] !== undefined ||
    (headers['content-length'] ?? '0') !== '0'
  );
}

/** Exactly the headers that kube-proxy's clients see, in its order: no `Connection: keep-alive` beside them. */
function send(response: ServerResponse, { status, headers, body }: Answer, isLastAnswer: boolean): void {
  response.sendDate = false;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('Date', new Date().toUTCString());
  response.setHeader('Content-Length', Buffer.byteLength(body));
  if (isLastAnswer) response.setHeader('Connection', 'close');
  else response.removeHeader('Connection');
  response.writeHead(status);
  response.end(body);
}

/** Plain text, as every answer that is not of a format of its own. */
export function plainAnswer(status: number, body: string): Answer {
  return {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
    body,
  };
}

/** JSON on one line. */
export function jsonAnswer(status: number, body: object): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' },
    body: JSON.stringify(body),
  };
}

/** What every path that nothing answers gets. */
export const notFound: Answer = plainAnswer(404, '404 page not found\n');

function limitConnections(server: Server, maxConnections: number): void {
  // In the order of last use: a Set iterates in the order of insertion.
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    const [longestIdle] = sockets;
    if (sockets.size >= maxConnections) longestIdle?.destroy();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('request', ({ socket }: IncomingMessage) => {
    if (sockets.delete(socket)) sockets.add(socket);
  });
}

function refuse(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = refusals.get(error.code ?? '') ?? '400 Bad Request';
  const headers = 'Content-Type: text/plain; charset=utf-8\r\nConnection: close';
  socket.end(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${status}`, () => socket.destroy());
}

const refusals: ReadonlyMap<string, string> = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
]);
