/** An object as the fake API server stores it. */
export interface ApiObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** Which objects a request asks for. */
export interface Selection {
  readonly labelSelector: string;
  readonly fieldSelector: string;
}

/** A change in the storage; `before` and `after` tell whether a selection sees it come, change or go. */
export interface StoredChange {
  readonly version: number;
  readonly before?: ApiObject;
  readonly after?: ApiObject;
}

/** The resources the fake server knows: plural, kind, path. */
export const apiResources = [
  { resource: 'services', kind: 'Service', apiVersion: 'v1', path: '/api/v1/services' },
  {
    resource: 'endpointslices',
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    path: '/apis/discovery.k8s.io/v1/endpointslices',
  },
  { resource: 'nodes', kind: 'Node', apiVersion: 'v1', path: '/api/v1/nodes' },
  {
    resource: 'servicecidrs',
    kind: 'ServiceCIDR',
    apiVersion: 'networking.k8s.io/v1',
    path: '/apis/networking.k8s.io/v1/servicecidrs',
  },
] as const;

/** One resource of the fake server, plural. */
export type ApiResource = (typeof apiResources)[number]['resource'];

/** Kind and version of a resource's objects. */
export function typeOf(resource: ApiResource): { readonly kind: string; readonly apiVersion: string } {
  const found = apiResources.find((type) => type.resource === resource);
  if (found === undefined) throw new Error(`no resource ${resource}`);
  return found;
}

/** What etcd is to the real one: objects with versions, and the changes since the last compaction. */
export class FakeApiStorage {
  readonly #objects = new Map<string, ApiObject>();
  readonly #changes = new Map<string, StoredChange[]>();
  #version = 1000;
  #oldest = 1000;
  #uids = 0;

  get version(): number {
    return this.#version;
  }

  /** Watches from versions before this one are told 410. */
  get oldest(): number {
    return this.#oldest;
  }

  /** Creates or updates; the uid stays unless the object names another. */
  set(object: ApiObject): StoredChange {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    this.#version += 1;
    this.#uids += 1;
    const after: ApiObject = {
      apiVersion: apiResources.find(({ kind }) => kind === object.kind)?.apiVersion ?? 'v1',
      ...object,
      metadata: {
        uid: before?.metadata.uid ?? `uid-${this.#uids}`,
        creationTimestamp: before?.metadata.creationTimestamp ?? new Date(1_700_000_000_000).toISOString(),
        ...object.metadata,
        resourceVersion: String(this.#version),
      },
    };
    this.#objects.set(key, after);
    return this.#note({ version: this.#version, ...(before === undefined ? {} : { before }), after });
  }

  delete(kind: string, name: string, namespace?: string): StoredChange | undefined {
    const key = `${kind}/${namespace ?? ''}/${name}`;
    const before = this.#objects.get(key);
    if (before === undefined) return undefined;
    this.#objects.delete(key);
    this.#version += 1;
    return this.#note({ version: this.#version, before: withVersion(before, this.#version) });
  }

  /** Objects of a kind that a selection sees, in the order of their keys. */
  select(kind: string, selection: Selection): readonly ApiObject[] {
    const found = [...this.#objects].filter(([, object]) => object.kind === kind && isSelected(object, selection));
    return found.toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, object]) => object);
  }

  changesSince(kind: string, version: number): readonly StoredChange[] {
    return (this.#changes.get(kind) ?? []).filter((change) => change.version > version);
  }

  /** Forgets what was: every version but the present is too old now. */
  compact(): void {
    this.#version += 1;
    this.#oldest = this.#version;
    this.#changes.clear();
  }

  /** Goes on from an earlier version with the objects that are there; nothing is known of what was before. */
  restore(version: number): void {
    this.#version = version;
    this.#oldest = version;
    this.#changes.clear();
  }

  #note(change: StoredChange): StoredChange {
    const kind = (change.after ?? change.before)?.kind ?? '';
    const changes = this.#changes.get(kind) ?? [];
    changes.push(change);
    this.#changes.set(kind, changes);
    return change;
  }
}

/** The watch event that a selection sees of a change, if any. */
export function eventOf(change: StoredChange, selection: Selection): { type: string; object: ApiObject } | undefined {
  const { before, after, version } = change;
  const wasSeen = before !== undefined && isSelected(before, selection);
  const isSeen = after !== undefined && isSelected(after, selection);
  if (isSeen) return { type: wasSeen ? 'MODIFIED' : 'ADDED', object: after };
  // As the real one: an object that leaves the selection goes in its old form with the new version.
  return wasSeen ? { type: 'DELETED', object: withVersion(before, version) } : undefined;
}

function withVersion(object: ApiObject, version: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
}

function keyOf({ kind, metadata }: ApiObject): string {
  return `${kind}/${metadata.namespace ?? ''}/${metadata.name}`;
}

function isSelected(object: ApiObject, { labelSelector, fieldSelector }: Selection): boolean {
  const labels = new Map(Object.entries(object.metadata.labels ?? {}));
  const fitsLabels = terms(labelSelector).every((term) => {
    if (term.startsWith('!')) return !labels.has(term.slice(1));
    const [key = '', value] = term.split('=');
    return value === undefined ? labels.has(key) : labels.get(key) === value;
  });
  const fitsFields = terms(fieldSelector).every((term) => {
    const [path = '', value] = term.split(/!?=/);
    return (fieldAt(object, path) === value) !== term.includes('!=');
  });
  return fitsLabels && fitsFields;
}

function terms(selector: string): readonly string[] {
  return selector === '' ? [] : selector.split(',');
}

function fieldAt(object: unknown, path: string): unknown {
  let value = object;
  for (const field of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[field];
  return value;
}
