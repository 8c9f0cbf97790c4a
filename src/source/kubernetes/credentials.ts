import { existsSync, readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { isIPv6 } from 'node:net';
import { dirname, isAbsolute, join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import type { Cluster, User } from '@kubernetes/client-node';
import { JSON_SCHEMA, load } from 'js-yaml';
import { limitPlugins } from './exec-plugin.ts';
import { proxyOf } from './proxy.ts';

/** Where the user says the API server is. */
export interface ConnectionOptions {
  /** Path of a kubeconfig file. */
  readonly kubeconfig?: string;
  /** URL of the API server; wins over the kubeconfig's. */
  readonly master?: string;
}

/** What the process knows about the pod it may run in, and about the proxy on its way. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where a pod finds its token and certificate authority. */
  readonly serviceAccountDirectory?: string;
}

/** How to present oneself on the next connection. Secret: never to be logged. */
export interface Presentation {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;
}

/** An API server, and the right to speak to it. */
export interface Credentials {
  readonly server: URL;
  /** On the way to the server, where there is one; may hold a name and password. */
  readonly proxy?: URL;
  /** By which way it was found, for messages. */
  readonly origin: 'kubeconfig' | 'master' | 'in-cluster';
  /** Reads token, certificates and kubeconfig again where they are files; throws with the path that is in the way. */
  present(): Promise<Presentation>;
  /** Forgets what an exec plugin or provider answered, because the server refused it. */
  renew(): void;
}

/** What the user gave, or did not give, does not lead to an API server. */
export class ConnectionConfigError extends Error {
  override readonly name = 'ConnectionConfigError';
}

const defaultServiceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';
const execTimeoutMs = 30_000;

/** Finds the API server: kubeconfig and `--master`, or else the pod's own surroundings. */
export function loadCredentials(options: ConnectionOptions, surroundings: Surroundings): Credentials {
  const { kubeconfig, master } = options;
  const { env } = surroundings;
  if (kubeconfig !== undefined && kubeconfig !== '') return fromKubeconfig(kubeconfig, master, env);
  if (master !== undefined && master !== '') return credentials('master', env, () => anonymous(master));
  return inCluster(surroundings);
}

/** A loaded configuration and the token file, which client-node does not know by the name Kubernetes gives it. */
interface Loaded {
  readonly config: KubeConfig;
  readonly tokenFile?: string;
  readonly proxyUrl?: string;
}

function fromKubeconfig(path: string, master: string | undefined, env: Surroundings['env']): Credentials {
  let text = readText(path, 'kubeconfig');
  let loaded = parseKubeconfig(text, path, master);
  return credentials('kubeconfig', env, (isRefused) => {
    const current = readText(path, 'kubeconfig');
    if (current === text && !isRefused) return loaded;
    loaded = parseKubeconfig(current, path, master);
    text = current;
    return loaded;
  });
}

function inCluster({ env, serviceAccountDirectory = defaultServiceAccountDirectory }: Surroundings): Credentials {
  const host = env.KUBERNETES_SERVICE_HOST;
  const port = env.KUBERNETES_SERVICE_PORT;
  const tokenFile = join(serviceAccountDirectory, 'token');
  if (host === undefined || host === '' || port === undefined || port === '' || !existsSync(tokenFile)) {
    throw new ConnectionConfigError(
      'no cluster given: neither --kubeconfig nor --master, and this is not a pod with a service account. ' +
        'Give --kubeconfig PATH or --master URL, or read manifests with -f PATH',
    );
  }
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const caFile = join(serviceAccountDirectory, 'ca.crt');
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'in-cluster', server, caFile, skipTLSVerify: false }, { name: 'in-cluster' });
  return credentials('in-cluster', env, () => ({ config, tokenFile }));
}

function anonymous(master: string): Loaded {
  const config = new KubeConfig();
  const server = serverUrl(master, false);
  config.loadFromClusterAndUser({ name: 'master', server, skipTLSVerify: isPlain(server) }, { name: 'anonymous' });
  return { config };
}

function credentials(
  origin: Credentials['origin'],
  env: Surroundings['env'],
  loadNow: (isRefused: boolean) => Loaded,
): Credentials {
  let isRefused = false;
  const { config, proxyUrl = '' } = loadNow(false);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new ConnectionConfigError('no cluster in the configuration');
  const server = parseUrl(cluster.server);
  const proxy = proxyOf(server, proxyUrl, env);
  return {
    ...{ server, origin, ...(proxy === undefined ? {} : { proxy }) },
    present: async () => {
      const loaded = loadNow(isRefused);
      isRefused = false;
      return presentation(loaded);
    },
    renew: () => {
      isRefused = true;
    },
  };
}

async function presentation({ config, tokenFile }: Loaded): Promise<Presentation> {
  const options: RequestOptions = { headers: {} };
  await withTimeout(config.applyToHTTPSOptions(options));
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (typeof value === 'string') headers[name] = value.trim();
  }
  if (typeof options.auth === 'string') {
    headers.Authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  }
  if (tokenFile !== undefined) headers.Authorization = `Bearer ${readToken(tokenFile)}`;
  const { ca, cert, key, servername } = options;
  return {
    headers,
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(servername === undefined ? {} : { servername }),
      // Said outright, so that an environment variable cannot switch the check off.
      rejectUnauthorized: config.getCurrentCluster()?.skipTLSVerify !== true,
    },
  };
}

/** An exec plugin that waits for a person would otherwise stop everything. */
async function withTimeout(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`the credential plugin of the kubeconfig did not answer within ${execTimeoutMs / 1000} s`));
    }, execTimeoutMs);
  });
  await Promise.race([work, timeout]).finally(() => {
    clearTimeout(timer);
  });
}

function readToken(path: string): string {
  const token = readText(path, 'token file').trim();
  if (token === '') throw new ConnectionConfigError(`token file ${path} is empty`);
  return token;
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConnectionConfigError(`${what} ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function parseKubeconfig(text: string, path: string, master = ''): Loaded {
  const { config, raw } = parseText(text, path);
  const context = config.getContextObject(config.currentContext);
  const cluster = context === null ? null : config.getCluster(context.cluster);
  const user = (context === null ? null : config.getUser(context.user)) ?? { name: 'anonymous' };
  if (cluster === null && master === '') throw missing(config, path);

  const base = dirname(path);
  const tokenFile = rawUser(raw, user.name)?.tokenFile;
  const isTls = [cluster?.caData, cluster?.caFile, user.certData, user.certFile].some((field) => field?.length);
  const server = serverUrl(master === '' ? (cluster?.server ?? '') : master, isTls);
  config.loadFromClusterAndUser(directCluster(cluster, server), withExecInfo(user));
  config.makePathsAbsolute(base);
  const loaded = { config, proxyUrl: cluster?.proxyUrl ?? '' };
  if (typeof tokenFile !== 'string' || tokenFile === '') return loaded;
  return { ...loaded, tokenFile: isAbsolute(tokenFile) ? tokenFile : join(base, tokenFile) };
}

function parseText(text: string, path: string): { readonly config: KubeConfig; readonly raw: RawKubeconfig } {
  const config = new KubeConfig();
  try {
    const raw = load(text, { schema: JSON_SCHEMA });
    if (typeof raw !== 'object' || raw === null) throw new Error('it is no YAML mapping');
    config.loadFromString(text);
    limitPlugins(config, execTimeoutMs);
    return { config, raw };
  } catch (error) {
    // Further lines of a YAML error quote the file, and that may hold secrets.
    const [reason] = (error as Error).message.split('\n');
    throw new ConnectionConfigError(`kubeconfig ${path} cannot be used: ${reason ?? 'it is not YAML'}`);
  }
}

/** The cluster at this address. The way through a proxy is ours to make: client-node's is for one request each. */
function directCluster(cluster: Cluster | null, server: string): Cluster {
  const skipTLSVerify = cluster?.skipTLSVerify === true || isPlain(server);
  return { name: 'cluster', ...cluster, server, skipTLSVerify, proxyUrl: '' };
}

interface RawKubeconfig {
  readonly users?: readonly { readonly name?: unknown; readonly user?: { readonly tokenFile?: unknown } | null }[];
}

function rawUser(raw: RawKubeconfig, name: string): { readonly tokenFile?: unknown } | null | undefined {
  return raw.users?.find((user) => user.name === name)?.user;
}

function missing(config: KubeConfig, path: string): ConnectionConfigError {
  const names = config.contexts.map((context) => context.name).join(', ');
  // The type says string; a file without the field leaves it undefined.
  const current = config.currentContext as string | undefined;
  const seen = current === undefined ? 'no current-context' : `current-context "${current}"`;
  return new ConnectionConfigError(
    `kubeconfig ${path}: ${seen} leads to no cluster (contexts in the file: ${names === '' ? 'none' : names})`,
  );
}

/** Plugins of the v1 protocol refuse to run without this variable, which client-node does not set. */
function withExecInfo(user: User): User {
  const exec = user.exec as { apiVersion?: unknown; env?: readonly unknown[] | null } | null | undefined;
  if (exec === undefined || exec === null) return user;
  const value = JSON.stringify({ apiVersion: exec.apiVersion, kind: 'ExecCredential', spec: { interactive: false } });
  return { ...user, exec: { ...exec, env: [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value }] } };
}

/** A server given as `host:port` is meant as kubectl takes it: TLS when there is something to check it with. */
function serverUrl(given: string, isTls: boolean): string {
  return parseUrl(given.includes('://') ? given : `${isTls ? 'https' : 'http'}://${given}`).href;
}

function isPlain(server: string): boolean {
  return server.startsWith('http:');
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new ConnectionConfigError(
      `the API server's address "${text}" is not a URL, expected for instance https://10.0.0.1:6443`,
    );
  }
  return url;
}
