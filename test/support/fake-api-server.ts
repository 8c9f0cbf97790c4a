import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { ApiObject, ApiResource, Selection, StoredChange } from './fake-api-storage.ts';
import { apiResources, eventOf, FakeApiStorage } from './fake-api-storage.ts';

/** What a request was for. */
export type RequestVerb = 'list' | 'watch' | 'watchList' | 'create' | 'other';

/** A request the fake server got, also those it did not answer. */
export interface RecordedRequest {
  readonly verb: RequestVerb;
  readonly resource: ApiResource | 'events' | 'other';
  readonly url: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** Common name of the client certificate. */
  readonly client: string | undefined;
}

/** A way to go wrong. Those without a comment are what the word says. */
export type Fault =
  /** Takes the request and never answers. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'status'; readonly code: number; readonly retryAfterSeconds?: number; readonly html?: true }
  /** 200 with a page. */
  | { readonly kind: 'html' }
  | { readonly kind: 'redirect'; readonly to: string }
  /** Half of the body, then the connection is cut. */
  | { readonly kind: 'truncate' }
  /** Half of the body as if it were all. */
  | { readonly kind: 'halve' }
  /** A good list without items. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'nullItems' }
  /** No resourceVersion in the list. */
  | { readonly kind: 'noVersion' }
  /** The body in pieces of this many bytes, a few milliseconds apart. */
  | { readonly kind: 'slow'; readonly bytes: number }
  /** A watch that opens well and then sends nothing, whatever happens. */
  | { readonly kind: 'mute' }
  /** As servers without the WatchList feature answer. */
  | { readonly kind: 'refuseWatchList' }
  /** A gzip body that grows to this size. */
  | { readonly kind: 'bomb'; readonly bytes: number }
  /** This text with status 200. */
  | { readonly kind: 'text'; readonly body: string };

/** When a fault strikes: each condition that is given must hold. */
export interface Misbehaviour {
  readonly fault: Fault;
  readonly verb?: RequestVerb;
  readonly resource?: ApiResource | 'events';
  /** How often (default: until ended). */
  readonly times?: number;
}

/** A watch that a client has open. */
export interface LiveWatch {
  readonly resource: ApiResource;
  readonly selection: Selection;
  /** Sends these bytes as they are. */
  write(text: string | Buffer): void;
  /** Sends an event as a line. */
  send(type: string, object: unknown): void;
  /** Sends an ERROR event with this code. */
  fail(code: number): void;
  /** Sends nothing of what happens from now on, and forgets it. */
  mute(): void;
  /** Ends it in good order. */
  end(): void;
  /** Breaks the connection. */
  cut(): void;
}

/** How the fake server is served. */
export interface FakeApiServerOptions {
  /** Serves TLS with this certificate. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientAuthority?: string };
  /** Asks for one of these bearer tokens; 401 otherwise. May be changed while it runs. */
  readonly tokens?: Set<string>;
}

/** An API server in this process that serves what a proxy reads, and misbehaves on demand. Start it with `startFakeApiServer`. */
export class FakeApiServer {
  readonly storage = new FakeApiStorage();
  readonly requests: RecordedRequest[] = [];
  /** Events posted to it. */
  readonly events: unknown[] = [];
  readonly tokens: Set<string> | undefined;
  readonly #options: FakeApiServerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<Watch>();
  readonly #pages = new Map<string, { readonly items: readonly ApiObject[]; readonly version: number }>();
  #misbehaviours: { readonly what: Misbehaviour; left: number }[] = [];
  #server: Server | undefined;
  #port = 0;
  #tokens = 0;

  constructor(options: FakeApiServerOptions) {
    this.#options = options;
    this.tokens = options.tokens;
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  /** Creates or updates an object, as `kubectl apply` would. */
  set(...objects: readonly ApiObject[]): void {
    for (const object of objects) this.#publish(this.storage.set(object));
  }

  delete(kind: string, name: string, namespace = 'default'): void {
    const change = this.storage.delete(kind, name, kind === 'Node' || kind === 'ServiceCIDR' ? undefined : namespace);
    if (change !== undefined) this.#publish(change);
  }

  /** Deletes and creates under the same name, so that the uid is another. */
  recreate(object: ApiObject): void {
    this.delete(object.kind, object.metadata.name, object.metadata.namespace);
    this.set(object);
  }

  /** Goes wrong from now on; returns how to end that. */
  misbehave(what: Misbehaviour): () => void {
    const entry = { what, left: what.times ?? Infinity };
    this.#misbehaviours.push(entry);
    return () => {
      this.#misbehaviours = this.#misbehaviours.filter((other) => other !== entry);
    };
  }

  watches(resource?: ApiResource): readonly LiveWatch[] {
    return [...this.#watches].filter((watch) => resource === undefined || watch.resource === resource);
  }

  /** Tells every watch the present version, as the real one does each minute. */
  sendBookmarks(): void {
    for (const watch of this.#watches) watch.bookmark(this.storage.version, {});
  }

  /** Makes every version and page handed out so far too old. */
  forgetHistory(): void {
    this.storage.compact();
    this.#pages.clear();
  }

  /** Requests so far, of one resource and verb. */
  count(verb?: RequestVerb, resource?: RecordedRequest['resource']): number {
    return this.requests.filter(
      (request) =>
        (verb === undefined || request.verb === verb) && (resource === undefined || request.resource === resource),
    ).length;
  }

  /** A kubeconfig for this server. `user` and `cluster` are the fields as they stand in the file. */
  kubeconfig(user: object = {}, cluster: object = {}): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'fake',
      clusters: [{ name: 'fake', cluster: { server: this.url, ...cluster } }],
      users: [{ name: 'fake', user }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake' } }],
    });
  }

  /** Stops listening and breaks every connection; objects stay and may change meanwhile. */
  async goDown(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  /** Listens again, at the same address. */
  async comeBack(): Promise<void> {
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response);
    };
    const { tls } = this.#options;
    const server =
      tls === undefined
        ? createHttpServer(handle)
        : createHttpsServer(
            {
              cert: tls.cert,
              key: tls.key,
              ...(tls.clientAuthority === undefined ? {} : { ca: tls.clientAuthority, requestCert: true }),
            },
            handle,
          );
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  #publish(change: StoredChange): void {
    for (const watch of this.#watches) watch.publish(change);
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => undefined);
    const recorded = record(request);
    this.requests.push(recorded);
    const fault = this.#faultFor(recorded);
    if (fault !== undefined && answerFault(fault, recorded, response)) return;
    if (!this.#isAllowed(request)) {
      sendStatus(response, 401, 'Unauthorized', 'Unauthorized');
    } else if (recorded.resource === 'events') {
      this.#create(request, response);
    } else if (recorded.resource === 'other') {
      sendStatus(response, 404, 'NotFound', 'the server could not find the requested resource');
    } else if (recorded.verb === 'list') {
      this.#list(recorded, recorded.resource, response, fault);
    } else {
      this.#watch(recorded, recorded.resource, response, fault);
    }
  }

  #faultFor({ verb, resource }: RecordedRequest): Fault | undefined {
    const entry = this.#misbehaviours.find(
      ({ what, left }) =>
        left > 0 &&
        (what.verb === undefined || what.verb === verb) &&
        (what.resource === undefined || what.resource === resource) &&
        (what.fault.kind !== 'refuseWatchList' || verb === 'watchList'),
    );
    if (entry !== undefined) entry.left -= 1;
    return entry?.what.fault;
  }

  #isAllowed(request: IncomingMessage): boolean {
    if (this.tokens === undefined) return true;
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    return scheme === 'Bearer' && token !== undefined && this.tokens.has(token);
  }

  #create(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const object: unknown = JSON.parse(Buffer.concat(chunks).toString());
      this.events.push(object);
      response.writeHead(201, { 'Content-Type': 'application/json' }).end(JSON.stringify(object));
    });
  }

  #list({ query, headers }: RecordedRequest, resource: ApiResource, response: ServerResponse, fault?: Fault): void {
    const { kind, apiVersion } = typeOf(resource);
    const token = query.get('continue');
    const page =
      token === null
        ? { items: this.storage.select(kind, selectionOf(query)), version: this.storage.version }
        : this.#pages.get(token);
    if (page === undefined) {
      sendStatus(response, 410, 'Expired', 'The provided continue parameter is too old');
      return;
    }
    const limit = Number(query.get('limit') ?? 0) || Infinity;
    const rest = page.items.slice(limit);
    const body = {
      kind: `${kind}List`,
      apiVersion,
      metadata: {
        ...(fault?.kind === 'noVersion' ? {} : { resourceVersion: String(page.version) }),
        ...(rest.length === 0 ? {} : { continue: this.#newToken({ items: rest, version: page.version }) }),
      },
      items:
        fault?.kind === 'empty' ? [] : fault?.kind === 'nullItems' ? null : page.items.slice(0, limit).map(withoutKind),
    };
    sendBody(response, JSON.stringify(body), { fault, isGzip: headers['accept-encoding'] === 'gzip' });
  }

  #newToken(page: { readonly items: readonly ApiObject[]; readonly version: number }): string {
    this.#tokens += 1;
    const token = `page-${this.#tokens}`;
    this.#pages.set(token, page);
    return token;
  }

  #watch({ query, verb }: RecordedRequest, resource: ApiResource, response: ServerResponse, fault?: Fault): void {
    const { kind } = typeOf(resource);
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    const watch = new Watch(resource, selectionOf(query), response, fault?.kind === 'slow' ? fault.bytes : undefined);
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
    if (fault?.kind === 'mute') watch.mute();
    const from = Number(query.get('resourceVersion') ?? 0);
    if (from === 0) {
      const objects = fault?.kind === 'empty' ? [] : this.storage.select(kind, watch.selection);
      for (const object of objects) watch.send('ADDED', object);
    } else if (from < this.storage.oldest) {
      watch.fail(410);
      watch.end();
    } else {
      for (const change of this.storage.changesSince(kind, from)) watch.publish(change);
    }
    if (verb === 'watchList') watch.bookmark(this.storage.version, { 'k8s.io/initial-events-end': 'true' });
  }
}

/** Starts a fake API server on a free port of the loopback. End it with `goDown()`. */
export async function startFakeApiServer(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
  const server = new FakeApiServer(options);
  await server.comeBack();
  return server;
}

class Watch implements LiveWatch {
  readonly resource: ApiResource;
  readonly selection: Selection;
  readonly #response: ServerResponse;
  readonly #pieceBytes: number | undefined;
  #isMute = false;
  #queue: Promise<void> = Promise.resolve();

  constructor(resource: ApiResource, selection: Selection, response: ServerResponse, pieceBytes: number | undefined) {
    this.resource = resource;
    this.selection = selection;
    this.#response = response;
    this.#pieceBytes = pieceBytes;
  }

  publish(change: StoredChange): void {
    if ((change.after ?? change.before)?.kind !== typeOf(this.resource).kind) return;
    const event = eventOf(change, this.selection);
    if (event !== undefined) this.send(event.type, event.object);
  }

  bookmark(version: number, annotations: object): void {
    const { kind, apiVersion } = typeOf(this.resource);
    const metadata = { resourceVersion: String(version), annotations };
    this.send('BOOKMARK', { kind, apiVersion, metadata, spec: {} });
  }

  send(type: string, object: unknown): void {
    if (!this.#isMute) this.write(`${JSON.stringify({ type, object })}\n`);
  }

  fail(code: number): void {
    const reason = code === 410 ? 'Expired' : 'InternalError';
    this.send('ERROR', { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'made to fail', reason, code });
  }

  write(text: string | Buffer): void {
    const bytes = Buffer.from(text);
    const pieceBytes = this.#pieceBytes;
    if (pieceBytes === undefined) this.#response.write(bytes);
    else this.#queue = this.#queue.then(() => dribble(this.#response, bytes, pieceBytes));
  }

  mute(): void {
    this.#isMute = true;
  }

  end(): void {
    this.#response.end();
  }

  cut(): void {
    // After what was written has left, or the client might not see it.
    this.#response.write('', () => this.#response.socket?.destroySoon());
  }
}

/** Answers with the fault; false when the fault only changes the ordinary answer. */
function answerFault(fault: Fault, request: RecordedRequest, response: ServerResponse): boolean {
  const page = '<html><body>Sign in to continue</body></html>';
  switch (fault.kind) {
    case 'hang':
      return true;
    case 'status': {
      const retry = fault.retryAfterSeconds;
      if (retry !== undefined) response.setHeader('Retry-After', String(retry));
      if (fault.html === true) response.writeHead(fault.code, { 'Content-Type': 'text/html' }).end(page);
      else
        sendStatus(
          response,
          fault.code,
          'Failure',
          `made to answer ${fault.code} to ${request.verb} ${request.resource}`,
        );
      return true;
    }
    case 'html':
      response.writeHead(200, { 'Content-Type': 'text/html' }).end(page);
      return true;
    case 'redirect':
      response.writeHead(302, { Location: fault.to }).end();
      return true;
    case 'refuseWatchList':
      sendStatus(
        response,
        422,
        'Invalid',
        'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ' +
          'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
      );
      return true;
    case 'bomb':
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' });
      response.end(gzipSync(Buffer.alloc(fault.bytes, ' ')));
      return true;
    case 'text':
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(fault.body);
      return true;
    default:
      return false;
  }
}

function sendStatus(response: ServerResponse, code: number, reason: string, message: string): void {
  const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
  response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function sendBody(
  response: ServerResponse,
  body: string,
  { fault, isGzip }: { readonly fault: Fault | undefined; readonly isGzip: boolean },
): void {
  const bytes = isGzip ? gzipSync(body) : Buffer.from(body);
  const headers = { 'Content-Type': 'application/json', ...(isGzip ? { 'Content-Encoding': 'gzip' } : {}) };
  switch (fault?.kind) {
    case 'truncate':
      response.writeHead(200, { ...headers, 'Content-Length': bytes.length });
      response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.destroySoon());
      break;
    case 'halve': {
      const half = body.slice(0, body.length / 2);
      response.writeHead(200, headers).end(isGzip ? gzipSync(half) : half);
      break;
    }
    case 'slow':
      response.writeHead(200, headers);
      void dribble(response, bytes, fault.bytes).then(() => response.end());
      break;
    default:
      response.writeHead(200, headers).end(bytes);
  }
}

async function dribble(response: ServerResponse, bytes: Buffer, pieceBytes: number): Promise<void> {
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    response.write(bytes.subarray(start, start + pieceBytes));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function record(request: IncomingMessage): RecordedRequest {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://fake');
  const resource = apiResources.find(({ path }) => path === pathname)?.resource;
  const isEvents = /^\/apis\/events\.k8s\.io\/v1\/namespaces\/[^/]+\/events$/.test(pathname);
  const certificate = 'getPeerCertificate' in request.socket ? peerName(request.socket) : undefined;
  return {
    verb: verbOf(request.method, query),
    resource: isEvents ? 'events' : (resource ?? 'other'),
    url: request.url ?? '/',
    query,
    headers: request.headers,
    client: certificate,
  };
}

function peerName(socket: object): string | undefined {
  const { getPeerCertificate } = socket as { getPeerCertificate(): { subject?: { CN?: string } } | null };
  return getPeerCertificate.call(socket)?.subject?.CN;
}

function verbOf(method: string | undefined, query: URLSearchParams): RequestVerb {
  if (method === 'POST') return 'create';
  if (method !== 'GET') return 'other';
  if (query.get('watch') !== 'true') return 'list';
  return query.get('sendInitialEvents') === 'true' ? 'watchList' : 'watch';
}

function selectionOf(query: URLSearchParams): Selection {
  return { labelSelector: query.get('labelSelector') ?? '', fieldSelector: query.get('fieldSelector') ?? '' };
}

function typeOf(resource: ApiResource): { readonly kind: string; readonly apiVersion: string } {
  const found = apiResources.find((type) => type.resource === resource);
  if (found === undefined) throw new Error(`no resource ${resource}`);
  return found;
}

/** Items of a list carry no kind, as with the real one. */
function withoutKind({ kind: _, apiVersion: __, ...rest }: ApiObject): object {
  return rest;
}
