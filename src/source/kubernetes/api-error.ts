/** The API server answered, but not with what was asked for. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status, or the code of a Status object inside a stream. */
  readonly status: number;
  /** The word of the Status object, for instance `Expired`. */
  readonly reason: string | undefined;
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    answer: { status: number; reason?: string | undefined; retryAfterMs?: number | undefined },
  ) {
    super(message);
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterMs = answer.retryAfterMs;
  }
}

/**
 * No whole answer came. `connect`: nobody there; `headers`: connected, but no answer in time or the connection broke
 * before one; `body`: the answer broke off or stalled.
 */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly phase: 'connect' | 'headers' | 'body';

  constructor(message: string, phase: 'connect' | 'headers' | 'body', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.phase = phase;
  }
}

/** The answer is not what the API promises: not JSON, not a list, no resourceVersion, a broken line. */
export class MalformedAnswerError extends Error {
  override readonly name = 'MalformedAnswerError';
}

const maxMessageLength = 400;

/** The error that an answer with this status and body means; the body may be a Status object or any text. */
export function apiError(
  what: string,
  answer: { status: number; body: string; retryAfter?: string | undefined },
): ApiError {
  const status = parseStatus(answer.body);
  const message = status?.message ?? plainWords(answer.body) ?? 'no explanation given';
  const detailsSeconds = status?.details?.retryAfterSeconds;
  const retryAfterMs = retryAfterHeaderMs(answer.retryAfter) ?? secondsMs(detailsSeconds);
  const advice = adviceFor(answer.status, what);
  const text = `${what}: the API server answered ${answer.status}: ${printable(message)}${advice}`;
  const reason = isTooLarge(status) ? 'ResourceVersionTooLarge' : status?.reason;
  return new ApiError(text, {
    status: answer.status,
    reason: typeof reason === 'string' ? reason : undefined,
    retryAfterMs,
  });
}

/** The error that a Status object inside a stream means. */
export function statusError(what: string, status: unknown): ApiError {
  const code = (status as StatusBody | undefined)?.code;
  return apiError(what, { status: typeof code === 'number' ? code : 500, body: JSON.stringify(status ?? {}) });
}

/** Text of others in one line of bounded length, without control characters. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- they are what must not reach a log
  const line = text.slice(0, maxMessageLength + 1).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
  return line.length > maxMessageLength ? `${line.slice(0, maxMessageLength)}…` : line;
}

interface StatusBody {
  readonly kind?: unknown;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown; readonly causes?: unknown };
}

function parseStatus(body: string): StatusBody | undefined {
  try {
    const value = JSON.parse(body) as StatusBody | null;
    return typeof value?.message === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A body that is words, neither JSON nor a page for a browser. */
function plainWords(body: string): string | undefined {
  return /^\s*[^\s{[<]/.test(body) ? body.trim() : undefined;
}

function isTooLarge(status: StatusBody | undefined): boolean {
  const causes = status?.details?.causes;
  if (!Array.isArray(causes)) return false;
  return causes.some((cause: { reason?: unknown } | null) => cause?.reason === 'ResourceVersionTooLarge');
}

function retryAfterHeaderMs(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,6}$/.test(value) ? secondsMs(Number(value)) : undefined;
}

function secondsMs(seconds: unknown): number | undefined {
  return typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined;
}

function adviceFor(status: number, what: string): string {
  switch (status) {
    case 401:
      return '. Check the credentials: an expired token or certificate, or a kubeconfig of another cluster';
    case 403: {
      const verbs = what.startsWith('create ') ? 'the verb create' : 'the verbs list and watch';
      return `. Bind the user to the ClusterRole system:node-proxier, or allow it ${verbs} on this resource`;
    }
    default:
      return status >= 300 && status < 400
        ? '. Redirects are not followed: give the address of the API server itself'
        : '';
  }
}
