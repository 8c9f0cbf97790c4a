import { createHash } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { apiError, ConnectionError, MalformedAnswerError } from './api-error.ts';
import { openConnection, throughDial } from './connection.ts';
import type { Credentials, Presentation } from './credentials.ts';
import type { Effects } from './effects.ts';
import { Reachability } from './reachability.ts';

/** One request to the API server. */
export interface ApiRequest {
  /** Without the query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Makes it a POST of this as JSON. */
  readonly body?: unknown;
  /** Ends the request, whatever it waits for. */
  readonly signal?: AbortSignal;
}

/** Speaks HTTP to one API server. Throws `ApiError`, `ConnectionError`, `MalformedAnswerError`, or why credentials failed. */
export interface ApiClient {
  /** The whole answer, parsed. */
  json(request: ApiRequest): Promise<unknown>;
  /** Hands over the answer as it comes; resolves when the server ended it in good order. */
  stream(request: ApiRequest, receiver: StreamReceiver): Promise<void>;
  /** Resolves when the server takes connections again, or when the signal is aborted. */
  untilReachable(signal: AbortSignal): Promise<void>;
  /** Closes every connection; requests under way fail. */
  close(): void;
}

/** Takes an answer that comes in pieces. */
export interface StreamReceiver {
  /** A good answer has begun. */
  onOpen(): void;
  /** What it throws ends the request. */
  onChunk(chunk: Buffer): void;
}

/** How long to wait and how much to take. */
export interface ClientLimits {
  readonly headerTimeoutMs: number;
  /** The longest pause inside an answer that is read as a whole. */
  readonly bodyPauseMs: number;
  /** Of an answer that is read as a whole, after unpacking. */
  readonly maxBodyBytes: number;
}

const defaultLimits: ClientLimits = { headerTimeoutMs: 10_000, bodyPauseMs: 30_000, maxBodyBytes: 256 * 1024 * 1024 };
/** With ten probes a second apart (libuv) a dead peer is noticed after 15 s. */
const keepAliveMs = 5000;
const maxErrorBodyBytes = 64 * 1024;

/** A client that presents itself anew on each request, so that rotated tokens and certificates are taken up. */
export function createClient(
  credentials: Credentials,
  effects: Pick<Effects, 'clock' | 'random'>,
  limits: Partial<ClientLimits> = {},
): ApiClient {
  return new Client(credentials, effects, { ...defaultLimits, ...limits });
}

type Agent = HttpAgent | HttpsAgent;

class Client implements ApiClient {
  readonly #credentials: Credentials;
  readonly #clock: Effects['clock'];
  readonly #limits: ClientLimits;
  readonly #reachability: Reachability;
  #agent: { readonly agent: Agent; readonly fingerprint: string } | undefined;
  /** Those of the last request. */
  #tls: Presentation['tls'] = {};
  /** Connections that a proxy has not made yet: the agent does not know them. */
  readonly #dials = new Set<AbortController>();

  constructor(credentials: Credentials, effects: Pick<Effects, 'clock' | 'random'>, limits: ClientLimits) {
    this.#credentials = credentials;
    this.#clock = effects.clock;
    this.#limits = limits;
    this.#reachability = new Reachability((signal) => this.#connect(signal), effects);
  }

  async json(request: ApiRequest): Promise<unknown> {
    const response = await this.#open(request, { 'Accept-Encoding': 'gzip' });
    const body = await this.#readAll(response, this.#limits.maxBodyBytes);
    try {
      return JSON.parse(body.toString('utf8')) as unknown;
    } catch {
      throw new MalformedAnswerError(`${describe(request)}: the answer of ${body.length} bytes is not whole JSON`);
    }
  }

  async stream(request: ApiRequest, receiver: StreamReceiver): Promise<void> {
    const response = await this.#open(request, {});
    receiver.onOpen();
    await readChunks(response, (chunk) => {
      receiver.onChunk(chunk);
    });
  }

  async untilReachable(signal: AbortSignal): Promise<void> {
    await this.#reachability.wait(signal);
  }

  close(): void {
    for (const dial of this.#dials) dial.abort();
    this.#agent?.agent.destroy();
  }

  /** Resolves with a good answer's headers read. Tries once more with new credentials after 401, and after a stale connection. */
  async #open(request: ApiRequest, extra: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    let presentation = await this.#credentials.present();
    let response: IncomingMessage;
    try {
      response = await this.#send(request, presentation, extra);
    } catch (error) {
      // The server closed an idle connection in the moment we took it: nothing was processed.
      if (!(error instanceof StaleConnectionError)) throw error;
      this.#dropIdleConnections();
      response = await this.#send(request, presentation, extra);
    }
    if (response.statusCode === 401) {
      this.#credentials.renew();
      const renewed = await this.#credentials.present();
      if (fingerprint(renewed) !== fingerprint(presentation)) {
        response.resume();
        presentation = renewed;
        response = await this.#send(request, presentation, extra);
      }
    }
    return await this.#accept(request, response);
  }

  async #accept(request: ApiRequest, response: IncomingMessage): Promise<IncomingMessage> {
    const status = response.statusCode ?? 0;
    const type = response.headers['content-type'] ?? 'no content type';
    if (status < 200 || status > 299) {
      const body = await this.#readAll(response, maxErrorBodyBytes).catch(() => Buffer.alloc(0));
      const retryAfter = response.headers['retry-after'];
      throw apiError(describe(request), { status, body: body.toString('utf8'), retryAfter });
    }
    if (!type.includes('json')) {
      response.destroy();
      throw new MalformedAnswerError(
        `${describe(request)}: the answer is ${type}, expected JSON. Is this an API server?`,
      );
    }
    return response;
  }

  async #send(
    request: ApiRequest,
    presentation: Presentation,
    extra: Readonly<Record<string, string>>,
  ): Promise<IncomingMessage> {
    const agent = this.#agentFor(presentation);
    const url = requestUrl(this.#credentials.server, request);
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const options = {
      agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...presentation.headers,
        ...extra,
        Accept: 'application/json',
        'User-Agent': 'portwright',
        ...(body === undefined
          ? {}
          : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }),
      },
    };
    const sent = url.protocol === 'http:' ? httpRequest(url, options) : httpsRequest(url, options);
    return await this.#headers(request, sent, body);
  }

  async #headers(request: ApiRequest, sent: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const { signal } = request;
      let isConnected = false;
      const abort = () => sent.destroy(new Error('the request was ended'));
      const cancelTimer = this.#clock.after(this.#limits.headerTimeoutMs, () => {
        sent.destroy(new Error(`no answer within ${this.#limits.headerTimeoutMs / 1000} s`));
        this.#dropIdleConnections();
      });
      sent.on('socket', (socket) => {
        isConnected = !socket.connecting;
        // A connection that is used again outlives the request: no listener may stay behind.
        if (isConnected) return;
        socket.once('connect', () => {
          isConnected = true;
        });
      });
      sent.on('response', (response) => {
        cancelTimer();
        // From here on the abort ends the body; the listener goes with it.
        response.on('close', () => signal?.removeEventListener('abort', abort));
        resolve(response);
      });
      // Stays for the life of the request: an error without a listener would end the process.
      sent.on('error', (error: NodeJS.ErrnoException) => {
        cancelTimer();
        signal?.removeEventListener('abort', abort);
        const message = `${describe(request)}: ${this.#explain(error, isConnected)}`;
        const isStale = sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        const phase = error instanceof ConnectionError ? error.phase : isConnected ? 'headers' : 'connect';
        reject(
          isStale ? new StaleConnectionError(message, 'headers', error) : new ConnectionError(message, phase, error),
        );
      });
      signal?.addEventListener('abort', abort);
      if (signal?.aborted === true) abort();
      sent.end(body);
    });
  }

  #explain(error: NodeJS.ErrnoException, isConnected: boolean): string {
    const { server, origin, proxy } = this.#credentials;
    const hint =
      origin === 'in-cluster' && !isConnected && proxy === undefined
        ? '. The address of the Service "kubernetes" works only once a proxy runs: give --master or a kubeconfig with the API server itself'
        : '';
    const reason = error.message === '' ? (error.code ?? 'no reason given') : error.message;
    return `${server.host}: ${reason}${hint}`;
  }

  async #readAll(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
    const unpacked = response.headers['content-encoding'] === 'gzip' ? gunzip(response) : response;
    const chunks: Buffer[] = [];
    let size = 0;
    let cancelTimer: () => void = () => undefined;
    const waitForMore = () => {
      cancelTimer();
      cancelTimer = this.#clock.after(this.#limits.bodyPauseMs, () => {
        unpacked.destroy(new Error(`the answer paused for more than ${this.#limits.bodyPauseMs / 1000} s`));
      });
    };
    waitForMore();
    try {
      await readChunks(unpacked, (chunk) => {
        waitForMore();
        size += chunk.length;
        if (size > maxBytes) throw new MalformedAnswerError(`the answer is larger than ${maxBytes} bytes`);
        chunks.push(chunk);
      });
    } finally {
      cancelTimer();
      if (unpacked !== response) response.destroy();
    }
    return Buffer.concat(chunks);
  }

  /** Connections that stand idle to a server that hangs are as dead as the one that timed out. */
  #dropIdleConnections(): void {
    for (const sockets of Object.values(this.#agent?.agent.freeSockets ?? {})) {
      for (const socket of sockets ?? []) socket.destroy();
    }
  }

  #agentFor(presentation: Presentation): Agent {
    const current = fingerprint({ headers: {}, tls: presentation.tls });
    if (this.#agent?.fingerprint !== current) {
      // Requests under way end on the connections of the old agent.
      this.#dropIdleConnections();
      const options = { keepAlive: true, keepAliveMsecs: keepAliveMs };
      const { server, proxy } = this.#credentials;
      const agent =
        server.protocol === 'http:' ? new HttpAgent(options) : new HttpsAgent({ ...options, ...presentation.tls });
      this.#tls = presentation.tls;
      this.#agent = {
        agent: proxy === undefined ? agent : throughDial(agent, () => this.#dial()),
        fingerprint: current,
      };
    }
    return this.#agent.agent;
  }

  #connect(signal: AbortSignal): Promise<Socket> {
    const { server, proxy } = this.#credentials;
    return openConnection({ server, ...(proxy === undefined ? {} : { proxy }), tls: this.#tls }, signal);
  }

  /** A connection through the proxy, given up when a request would not wait for it any longer. */
  async #dial(): Promise<Socket> {
    const dial = new AbortController();
    const cancelTimer = this.#clock.after(this.#limits.headerTimeoutMs, () => {
      dial.abort();
    });
    this.#dials.add(dial);
    try {
      const socket = await this.#connect(dial.signal);
      return socket.setKeepAlive(true, keepAliveMs);
    } finally {
      cancelTimer();
      this.#dials.delete(dial);
    }
  }
}

class StaleConnectionError extends ConnectionError {}

function requestUrl(server: URL, request: ApiRequest): URL {
  const url = new URL(server);
  url.pathname = url.pathname.replace(/\/$/, '') + request.path;
  url.search = new URLSearchParams(request.query).toString();
  return url;
}

/** The request in a message: what, without the query's noise. */
function describe(request: ApiRequest): string {
  const verb = request.body !== undefined ? 'create' : request.query?.watch === 'true' ? 'watch' : 'list';
  return `${verb} ${request.path}`;
}

function gunzip(response: IncomingMessage): Readable {
  const unpacker = createGunzip();
  pipeline(response, unpacker, () => undefined);
  return unpacker;
}

async function readChunks(source: Readable, onChunk: (chunk: Buffer) => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    source.on('data', (chunk: Buffer) => {
      try {
        onChunk(chunk);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
        source.destroy();
      }
    });
    source.on('end', resolve);
    source.on('error', (error) => {
      reject(new ConnectionError(`the answer broke off: ${error.message}`, 'body', error));
    });
    source.on('close', () => {
      reject(new ConnectionError('the answer broke off', 'body'));
    });
  });
}

function fingerprint(presentation: Presentation): string {
  const hash = createHash('sha256');
  for (const [name, value] of [...Object.entries(presentation.headers), ...Object.entries(presentation.tls)]) {
    hash.update(`${name}\u0000`);
    hash.update(Buffer.isBuffer(value) ? value : JSON.stringify(value));
    hash.update('\u0000');
  }
  return hash.digest('hex');
}
