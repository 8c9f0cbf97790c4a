import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import type { Fault } from './fake-api-fault.ts';
import { answerFault, sendBody, sendStatus } from './fake-api-fault.ts';
import type { ApiObject, ApiResource, Selection, StoredChange } from './fake-api-storage.ts';
import { apiResources, FakeApiStorage, typeOf } from './fake-api-storage.ts';
import type { LiveWatch } from './fake-api-watch.ts';
import { FakeWatch } from './fake-api-watch.ts';

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

/** When a fault strikes: each condition that is given must hold. */
export interface Misbehaviour {
  readonly fault: Fault;
  readonly verb?: RequestVerb;
  readonly resource?: ApiResource | 'events';
  /** How often (default: until ended). */
  readonly times?: number;
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
  readonly #watches = new Set<FakeWatch>();
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

  /** Ends every misbehaviour; watches that are mute stay so. */
  calm(): void {
    this.#misbehaviours = [];
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

  /** As when a back-up is restored: versions begin again where they were then. */
  restore(version: number): void {
    this.storage.restore(version);
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
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
    });
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
              ...(tls.clientAuthority === undefined
                ? {}
                : { ca: tls.clientAuthority, requestCert: true, rejectUnauthorized: false }),
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
    const from = Number(query.get('resourceVersion') ?? 0);
    const pieceBytes = fault?.kind === 'slow' ? fault.bytes : undefined;
    const watch = new FakeWatch(resource, { selection: selectionOf(query), from, pieceBytes }, response);
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
    if (fault?.kind === 'mute') watch.mute();
    if (from === 0) {
      const objects = fault?.kind === 'empty' ? [] : this.storage.select(kind, watch.selection);
      for (const object of objects) watch.send('ADDED', object);
    } else if (from < this.storage.oldest) {
      watch.fail(410);
      watch.end();
    } else {
      for (const change of this.storage.changesSince(kind, from)) watch.publish(change);
    }
    if (verb === 'watchList' && fault?.kind !== 'noInitialEnd')
      watch.bookmark(this.storage.version, { 'k8s.io/initial-events-end': 'true' });
  }
}

/** Starts a fake API server on a free port of the loopback. End it with `goDown()`. */
export async function startFakeApiServer(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
  const server = new FakeApiServer(options);
  await server.comeBack();
  return server;
}

function record(request: IncomingMessage): RecordedRequest {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://fake');
  const resource = apiResources.find(({ path }) => path === pathname)?.resource;
  const isEvents = /^\/apis\/events\.k8s\.io\/v1\/namespaces\/[^/]+\/events$/.test(pathname);
  return {
    verb: verbOf(request.method, query),
    resource: isEvents ? 'events' : (resource ?? 'other'),
    url: request.url ?? '/',
    query,
    headers: request.headers,
    client: peerName(request.socket),
  };
}

function peerName(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  // Empty where the client showed none.
  const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  return subject?.CN?.toString();
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

/** Items of a list carry no kind, as with the real one. */
function withoutKind(object: ApiObject): object {
  return Object.fromEntries(Object.entries(object).filter(([field]) => field !== 'kind' && field !== 'apiVersion'));
}
