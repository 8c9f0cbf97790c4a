import { ApiError, MalformedAnswerError } from './api-error.ts';
import type { ApiClient } from './request.ts';
import type { Resource } from './resource.ts';
import type { Arrival, Store, StoredObject } from './store.ts';
import { objectKey } from './store.ts';

/** Everything of a resource at one moment. */
export interface Listing<T> {
  readonly arrivals: ReadonlyMap<string, Arrival<T>>;
  readonly resourceVersion: string;
}

const pageSize = 500;

/** Reads a whole resource page by page, consistently: the answer is never older than the request. */
export async function list<T extends StoredObject>(
  client: ApiClient,
  resource: Resource<T>,
  { store, signal }: { readonly store: Store<T>; readonly signal: AbortSignal },
): Promise<Listing<T>> {
  try {
    return await pages(client, resource, { store, signal, limit: { limit: String(pageSize) } });
  } catch (error) {
    if (!(error instanceof ExpiredPageError)) throw error;
    // Reading took longer than the server keeps old versions: all in one answer, then.
    return await pages(client, resource, { store, signal, limit: {} });
  }
}

class ExpiredPageError extends Error {}

interface PagesOptions<T extends StoredObject> {
  readonly store: Store<T>;
  readonly signal: AbortSignal;
  readonly limit: Readonly<Record<string, string>>;
}

async function pages<T extends StoredObject>(
  client: ApiClient,
  resource: Resource<T>,
  { store, signal, limit }: PagesOptions<T>,
): Promise<Listing<T>> {
  const arrivals = new Map<string, Arrival<T>>();
  const seenTokens = new Set<string>();
  let resourceVersion: string | undefined;
  for (let token = ''; ;) {
    const query = { ...resource.selectors, ...limit, ...(token === '' ? {} : { continue: token }) };
    const page = readPage(await request(client, { path: resource.path, query, signal }, token), resource);
    // Should a later page be newer, the watch from the first one's version makes up for it.
    resourceVersion ??= page.resourceVersion;
    for (const raw of page.items) {
      const arrival = resource.read(raw);
      if (arrival !== undefined) arrivals.set(objectKey(arrival.object), keepKnown(store, arrival));
    }
    token = page.continueToken;
    if (token === '') return { arrivals, resourceVersion };
    if (seenTokens.has(token)) throw new MalformedAnswerError(`list ${resource.path}: the server repeats a page`);
    seenTokens.add(token);
  }
}

/** What arrives equal to what is known is what is known: a relist holds nothing twice. */
export function keepKnown<T extends StoredObject>(store: Store<T>, arrival: Arrival<T>): Arrival<T> {
  return { object: store.known(arrival.object), triggerTime: arrival.triggerTime };
}

async function request(client: ApiClient, page: Parameters<ApiClient['json']>[0], token: string): Promise<unknown> {
  try {
    return await client.json(page);
  } catch (error) {
    const isExpired = error instanceof ApiError && (error.status === 410 || error.status === 400);
    if (token !== '' && isExpired) throw new ExpiredPageError(error.message);
    throw error;
  }
}

interface Page {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
  readonly continueToken: string;
}

function readPage(answer: unknown, resource: Resource<StoredObject>): Page {
  const what = `list ${resource.path}`;
  const body = (answer ?? {}) as { kind?: unknown; items?: unknown; metadata?: Record<string, unknown> | null };
  const expected = `${resource.kind}List`;
  if (body.kind !== expected) {
    throw new MalformedAnswerError(`${what}: the answer is of kind ${String(body.kind)}, expected ${expected}`);
  }
  const items = body.items ?? [];
  if (!Array.isArray(items)) throw new MalformedAnswerError(`${what}: items is no list`);
  const resourceVersion = usableVersion(body.metadata?.resourceVersion);
  if (resourceVersion === undefined) throw new MalformedAnswerError(`${what}: no resourceVersion to watch from`);
  const token = body.metadata?.continue;
  return { items, resourceVersion, continueToken: typeof token === 'string' ? token : '' };
}

/** A version that one can watch from; `0` would mean "any, however old". */
export function usableVersion(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value !== '0' ? value : undefined;
}
