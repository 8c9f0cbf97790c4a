import { ApiError, MalformedAnswerError, statusError } from './api-error.ts';
import { usableVersion } from './listing.ts';

/** One line of a watch, taken apart. */
export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly raw: unknown; readonly resourceVersion: string }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly endsInitialEvents: boolean }
  | { readonly type: 'unknown' };

const initialEventsEnd = 'k8s.io/initial-events-end';

/** Reads one line; throws when the server reports an error in it, or when it is no event. */
export function readWatchEvent(what: string, line: string): WatchEvent {
  const { type, object } = parse(what, line);
  if (type === undefined && isStatus(object)) throw statusError(what, object);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, raw: object, resourceVersion: versionOf(what, object) };
    case 'BOOKMARK': {
      const endsInitialEvents = metadataOf(object)?.annotations?.[initialEventsEnd] === 'true';
      return { type, resourceVersion: versionOf(what, object), endsInitialEvents };
    }
    case 'ERROR':
      throw statusError(what, object);
    default:
      return { type: 'unknown' };
  }
}

/** Whether an answer means that the server does not do WatchList (its feature gate is off, or it is too old). */
export function refusesWatchList(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 422 || error.status === 400);
}

interface RawEvent {
  readonly type?: unknown;
  readonly object?: unknown;
}

function parse(what: string, line: string): RawEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new MalformedAnswerError(`${what}: a line of ${line.length} characters is not JSON`);
  }
  if (typeof value !== 'object' || value === null) throw new MalformedAnswerError(`${what}: a line is no object`);
  // A bare Status is how a server reports trouble before the stream has begun.
  return isStatus(value) ? { object: value } : value;
}

function isStatus(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'Status';
}

interface RawMetadata {
  readonly resourceVersion?: unknown;
  readonly annotations?: Readonly<Record<string, unknown>> | null;
}

function metadataOf(object: unknown): RawMetadata | null | undefined {
  return (object as { readonly metadata?: RawMetadata | null } | null | undefined)?.metadata;
}

function versionOf(what: string, object: unknown): string {
  const version = usableVersion(metadataOf(object)?.resourceVersion);
  if (version === undefined) throw new MalformedAnswerError(`${what}: an event without a resourceVersion`);
  return version;
}
