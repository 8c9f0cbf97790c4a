import type { Agent as HttpAgent, OutgoingHttpHeaders } from 'node:http';
import { request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { ConnectionError, printable } from './api-error.ts';
import type { Presentation } from './credentials.ts';
import { hostOf, portOf } from './proxy.ts';

/** The way to an API server. */
export interface Way {
  readonly server: URL;
  /** Absent: straight. */
  readonly proxy?: URL;
  /** Whom to trust; also where it is the proxy that speaks TLS. */
  readonly tls: Presentation['tls'];
}

/**
 * Connects to the server by bare TCP, straight or through the proxy; nothing was said to it yet. Aborting the signal
 * gives up. What a proxy does not do is a ConnectionError: of the phase `connect` when it, or the server behind it,
 * cannot be reached, else `headers`.
 */
export async function openConnection({ server, proxy, tls }: Way, signal: AbortSignal): Promise<Socket> {
  if (proxy === undefined) return await openTcp(server, signal);
  try {
    const isSocks = proxy.protocol.startsWith('socks');
    return await (isSocks ? openSocks(server, proxy, signal) : openTunnel(server, { proxy, tls }, signal));
  } catch (error) {
    if (error instanceof ConnectionError) throw error;
    // Without the cause: that of a SOCKS proxy holds the password.
    const reason = signal.aborted ? 'it made no connection in time' : printable((error as Error).message);
    throw new ConnectionError(`${named(proxy)}: ${reason}`, 'connect');
  }
}

/** Makes an agent use the connections that `dial` opens, with TLS on them where it is an agent of https. */
export function throughDial<T extends HttpAgent>(agent: T, dial: () => Promise<Socket>): T {
  const bare = agent.createConnection.bind(agent);
  const open = async (options: object) => {
    const socket = await dial();
    if (!(agent instanceof HttpsAgent)) return socket;
    try {
      return bare({ ...options, socket } as RequestOptions) ?? socket;
    } catch (error) {
      // A certificate that cannot be read.
      socket.destroy();
      throw error;
    }
  };
  agent.createConnection = (options, callback) => {
    open(options).then(
      (socket) => callback?.(null, socket),
      // An error comes without a connection, whatever the type says.
      (error: unknown) => (callback as ((error: unknown) => void) | undefined)?.(error),
    );
    return undefined;
  };
  return agent;
}

async function openTcp(to: URL, signal: AbortSignal): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: hostOf(to), port: portOf(to) });
    const giveUp = () => socket.destroy(new Error('the connection was given up'));
    const settle = () => {
      signal.removeEventListener('abort', giveUp);
      socket.off('error', reject);
    };
    socket.once('error', reject);
    socket.once('close', settle);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
    signal.addEventListener('abort', giveUp);
  });
}

async function openTunnel(server: URL, { proxy, tls }: Required<Omit<Way, 'server'>>, signal: AbortSignal) {
  const target = `${server.hostname}:${portOf(server)}`;
  const options = {
    ...{ method: 'CONNECT', host: hostOf(proxy), port: portOf(proxy), path: target, agent: false as const, signal },
    headers: { Host: target, 'User-Agent': 'portwright', ...proxyAuthorization(proxy) },
  };
  const ca = tls.ca === undefined || proxy.protocol === 'http:' ? {} : { ca: await publicAnd([tls.ca].flat()) };
  // Else the name in the header, that of the server, would be looked for in it.
  const servername = isIP(options.host) === 0 ? options.host : '';
  const { rejectUnauthorized } = tls;
  const sent =
    proxy.protocol === 'http:'
      ? httpRequest(options)
      : httpsRequest({ ...options, ...ca, servername, rejectUnauthorized });
  return await new Promise<Socket>((resolve, reject) => {
    sent.on('error', reject);
    sent.on('connect', ({ statusCode = 0, statusMessage = '' }, socket: Socket, head) => {
      if (statusCode >= 200 && statusCode <= 299) {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(refusal(proxy, target, statusCode, statusMessage));
    });
    sent.end();
  });
}

/** A proxy may show a certificate of the cluster's authority, as client-go expects, or of one that everybody trusts. */
async function publicAnd<T>(own: readonly T[]): Promise<(T | string)[]> {
  // Only for those who need it: the certificates are made when the module is imported.
  const { rootCertificates } = await import('node:tls');
  return [...rootCertificates, ...own];
}

function proxyAuthorization({ username, password }: URL): OutgoingHttpHeaders {
  if (username === '' && password === '') return {};
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(user).toString('base64')}` };
}

function refusal(proxy: URL, target: string, status: number, reason: string): ConnectionError {
  const advice = status === 407 ? '. Put user and password into its address, http://USER:PASSWORD@HOST:PORT' : '';
  const words = `${named(proxy)} answered ${status} ${printable(reason)} to CONNECT ${target}${advice}`;
  // Bad gateway, unavailable, timed out: nobody behind it, which may end at any time. Other words are its policy.
  return new ConnectionError(words, status >= 502 && status <= 504 ? 'connect' : 'headers');
}

async function openSocks(server: URL, proxy: URL, signal: AbortSignal): Promise<Socket> {
  const { SocksClient } = await import('socks');
  const { username, password } = proxy;
  const user = { userId: decodeURIComponent(username), password: decodeURIComponent(password) };
  const to = await openTcp(proxy, signal);
  const giveUp = () => to.destroy(new Error('the connection was given up'));
  signal.addEventListener('abort', giveUp);
  try {
    const { socket } = await SocksClient.createConnection({
      command: 'connect',
      // The proxy looks names up.
      destination: { host: hostOf(server), port: portOf(server) },
      proxy: { host: hostOf(proxy), port: portOf(proxy), type: 5, ...(username === '' ? {} : user) },
      existing_socket: to,
    });
    return socket;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

/** Without the name and password that may stand in its address. */
function named(proxy: URL): string {
  return `the proxy ${proxy.protocol}//${proxy.host}`;
}
