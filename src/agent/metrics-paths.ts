import { jsonAnswer, notFound, plainAnswer } from './http-server.ts';
import type { Answer, Handler, Request } from './http-server.ts';
import type { ServiceStatus } from './service-status.ts';
import { createSlis } from './slis.ts';
import { rfc3339 } from './timestamp.ts';

export interface MetricsPathsOptions {
  readonly proxyMode: string;
  readonly version: string;
  /** When the process started. */
  readonly started: Date;
  readonly now: () => Date;
  /** The exposition for Prometheus. */
  readonly metrics: () => Promise<string>;
  /** The effective configuration as KubeProxyConfiguration v1alpha1, with kind and apiVersion. */
  readonly configuration: () => object;
  /** Every flag and its value as text. */
  readonly flags: () => ReadonlyMap<string, string>;
  /** Sorted. */
  readonly services: () => readonly ServiceStatus[];
  /** Feature gates; `ComponentFlagz` and `ComponentStatusz` switch their paths off. */
  readonly features: ReadonlyMap<string, boolean>;
}

/** Paths that a feature gate switches off. */
const gated: ReadonlyMap<string, string> = new Map([
  ['/flagz', 'ComponentFlagz'],
  ['/statusz', 'ComponentStatusz'],
]);

/** What `metricsBindAddress` serves. */
export function metricsPaths(options: MetricsPathsOptions): Handler {
  const slis = createSlis();
  const metrics = shared(async () => metricsAnswer(options.started, await options.metrics()));
  const services = shared(() => Promise.resolve(servicesAnswer(options.services())));
  const paths: ReadonlyMap<string, Handler> = new Map<string, Handler>([
    ['/healthz', ({ query }) => pingAnswer(query, slis.passed)],
    ['/healthz/ping', () => plainAnswer(200, 'ok')],
    ['/metrics', metrics],
    ['/metrics/slis', ({ method }) => slis.answer(method)],
    ['/proxyMode', () => plainAnswer(200, options.proxyMode)],
    ['/configz', () => jsonAnswer(200, { 'kubeproxy.config.k8s.io': options.configuration() })],
    ['/flagz', (request) => flagzAnswer(request, options.flags())],
    ['/statusz', (request) => statuszAnswer(request, options)],
    ['/services', services],
  ]);
  return (request) => (isServed(request.path, options) ? paths.get(request.path)?.(request) : undefined) ?? notFound;
}

function isServed(path: string, { features }: Pick<MetricsPathsOptions, 'features'>): boolean {
  return features.get(gated.get(path) ?? '') !== false;
}

/**
 * Requests that come while an answer is being prepared, or too soon after one that was dear, share the next answer:
 * always made after they were asked, and together they cost at most a fifth of our time.
 */
function shared(make: () => Promise<Answer>): Handler {
  let next: Promise<Answer> | undefined;
  let notBefore = 0;
  return () => {
    next ??= (async () => {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, notBefore - performance.now())));
      next = undefined;
      const begin = performance.now();
      // As bytes, which all connections can send from one copy.
      const { body, ...rest } = await make();
      const answer: Answer = { ...rest, body: Buffer.from(body) };
      const end = performance.now();
      notBefore = end + 4 * (end - begin);
      return answer;
    })();
    return next;
  };
}

function metricsAnswer(started: Date, body: string): Answer {
  return {
    status: 200,
    headers: {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores',
      'Process-Start-Time-Unix': String(Math.floor(started.getTime() / 1000)),
    },
    body,
  };
}

function pingAnswer(query: URLSearchParams, passed: () => void): Answer {
  passed();
  return plainAnswer(200, query.has('verbose') ? '[+]ping ok\nhealthz check passed\n' : 'ok');
}

function servicesAnswer(statuses: readonly ServiceStatus[]): Answer {
  const services = statuses.map(({ desired, applied, verified, state, warnings, ...service }) => ({
    ...service,
    ...(desired !== undefined && { desired: rfc3339(desired) }),
    ...(applied !== undefined && { applied: rfc3339(applied) }),
    ...(verified !== undefined && { verified: rfc3339(verified) }),
    state,
    warnings,
  }));
  return jsonAnswer(200, { services });
}

const debugWarning =
  'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.';

function flagzAnswer({ accept }: Request, flags: ReadonlyMap<string, string>): Answer {
  const sorted = [...flags].sort(([left], [right]) => (left < right ? -1 : 1));
  if (wantsJson(accept)) return jsonAnswer(200, { ...debugObject('Flagz'), flags: Object.fromEntries(sorted) });
  const lines = sorted.map(([name, value]) => `${name}: ${value}\n`);
  return debugAnswer(`\nkube-proxy flagz\n${debugWarning}\n${lines.join('')}`);
}

const shownPaths = ['/configz', '/flagz', '/healthz', '/metrics', '/proxyMode', '/services'];

function statuszAnswer({ accept }: Request, options: MetricsPathsOptions): Answer {
  const { started, now, version } = options;
  const paths = shownPaths.filter((path) => isServed(path, options));
  const upSeconds = Math.max(0, Math.floor((now().getTime() - started.getTime()) / 1000));
  if (wantsJson(accept)) {
    return jsonAnswer(200, {
      ...debugObject('Statusz'),
      startTime: rfc3339(started),
      uptimeSeconds: upSeconds,
      binaryVersion: version,
      nodeVersion: process.version,
      paths,
    });
  }
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const up = `${Math.floor(upSeconds / 3600)} hr ${two((upSeconds / 60) % 60)} min ${two(upSeconds % 60)} sec`;
  const lines = [
    `Started:  ${started.toUTCString()}`,
    `Up:  ${up}`,
    `Node.js version:  ${process.version}`,
    `Binary version:  portwright ${version}`,
    'Emulation version:  1.36',
    `Paths:  ${paths.join(' ')}`,
  ];
  return debugAnswer(`\nkube-proxy statusz\n${debugWarning}\n\n${lines.join('\n')}\n`);
}

function wantsJson(accept: string): boolean {
  return accept.includes('application/json');
}

function debugObject(kind: string): object {
  return { kind, apiVersion: 'config.k8s.io/v1alpha1', metadata: { name: 'kube-proxy' } };
}

function debugAnswer(body: string): Answer {
  return { status: 200, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}
