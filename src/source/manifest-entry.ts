import { decode, fieldName } from './admission/decode.ts';
import type { DecodeError } from './admission/decode.ts';
import { goQuote, invalidMessage } from './admission/field-error.ts';
import type { StructShape } from './admission/shape.ts';
import { hintForCauses, hintForDocument, hintForUnknownField } from './manifest-hints.ts';
import type { ObjectMeta } from './objects.ts';
import type { Cause, Problem } from './problem.ts';
import type { ManifestDocument } from './yaml.ts';
import type { FieldPath } from './yaml-position.ts';

/** One object of the input, and where it stands. */
export interface Entry {
  readonly document: ManifestDocument;
  /** Where in its document: not empty for members of a List. */
  readonly path: FieldPath;
  readonly kind: string;
  readonly apiVersion: string;
  readonly raw: Readonly<Record<string, unknown>>;
}

/** A decoded object; of its other fields nothing is known yet but their types. */
export interface DecodedObject {
  readonly metadata: ObjectMeta;
}

/** The objects of a document: itself, or the members of a List. */
export function entriesOf(document: ManifestDocument): { entries: readonly Entry[]; problems: readonly Problem[] } {
  const entries: Entry[] = [];
  const problems: Problem[] = [];
  collect(document.value, []);
  return { entries, problems };

  function collect(raw: unknown, path: FieldPath, member?: { kind: string; apiVersion: string }): void {
    const wrong = (message: string): void => {
      problems.push({ ...placeOf(document, path), message, ...hintForDocument(document) });
    };
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
      wrong(`an object with apiVersion and kind was expected, not ${Array.isArray(raw) ? 'a list' : describe(raw)}`);
      return;
    }
    const { kind = member?.kind, apiVersion = member?.apiVersion, items } = raw as Record<string, unknown>;
    if (typeof kind !== 'string' || kind === '') {
      wrong("Object 'Kind' is missing");
    } else if (typeof apiVersion !== 'string' || apiVersion === '') {
      wrong("Object 'apiVersion' is missing");
    } else if (kind.endsWith('List') && (Array.isArray(items) || items === null)) {
      const implied = kind === 'List' ? undefined : { kind: kind.slice(0, -'List'.length), apiVersion };
      for (const [index, item] of (items ?? []).entries()) collect(item, [...path, 'items', index], implied);
    } else {
      entries.push({ document, path, kind, apiVersion, raw: raw as Record<string, unknown> });
    }
  }
}

/** Was in a cluster once: the server has defaulted and checked it. */
export function isStored({ raw }: Entry): boolean {
  const { metadata, spec } = raw as { metadata?: { resourceVersion?: unknown }; spec?: { clusterIPs?: unknown } };
  const version = metadata?.resourceVersion;
  const clusterIPs = spec?.clusterIPs;
  return (typeof version === 'string' && version !== '') || (Array.isArray(clusterIPs) && clusterIPs.length > 0);
}

/** Decodes an object by its shape, giving it the namespace it lacks. */
export function decodeEntry(entry: Entry, shape: StructShape, namespace: string | undefined): DecodedObject | Problem {
  const { value, typeErrors, unknownFields } = decode(entry.raw, shape);
  const [typeError] = typeErrors;
  if (typeError !== undefined) return decodeProblem({ entry, shape, namespace }, [typeError], typeError.message);
  // A stored object may come from a newer server that knows more fields.
  if (unknownFields.length > 0 && !isStored(entry)) {
    const message = `strict decoding error: ${unknownFields.map((error) => error.message).join(', ')}`;
    return decodeProblem({ entry, shape, namespace }, unknownFields, message);
  }
  const object = value as { metadata?: Partial<ObjectMeta> };
  const { name = '', namespace: given = '', ...metadata } = object.metadata ?? {};
  const settled = given === '' ? namespace : given;
  return { ...object, metadata: { ...metadata, name, ...(settled === undefined ? {} : { namespace: settled }) } };
}

function decodeProblem(
  { entry, shape, namespace }: { entry: Entry; shape: StructShape; namespace: string | undefined },
  errors: readonly DecodeError[],
  message: string,
): Problem {
  const { document, kind, apiVersion, path } = entry;
  const [first] = errors;
  const field = first?.path ?? [];
  const version = apiVersion.slice(apiVersion.indexOf('/') + 1);
  return {
    ...placeOf(document, [...path, ...field]),
    object: rawNameOf(entry, namespace),
    field: fieldName(field),
    message: `${kind} in version ${goQuote(version)} cannot be handled as a ${kind}: ${message}`,
    ...(first?.message.startsWith('unknown field') ? hintForUnknownField(field, shape) : {}),
    ...hintForDocument(document),
  };
}

/** An object that the API server would refuse for these causes. */
export function refusal(
  entry: Entry,
  metadata: ObjectMeta,
  causes: readonly Cause[],
  more: { readonly message?: string; readonly detail?: string } = {},
): Problem {
  const { document, kind, apiVersion, path } = entry;
  const group = apiVersion.includes('/') ? `.${apiVersion.slice(0, apiVersion.indexOf('/'))}` : '';
  const [first] = causes;
  return {
    ...placeOf(document, [...path, ...(first === undefined ? [] : pathOf(first.field))]),
    object: objectName(kind, metadata),
    ...(first === undefined ? {} : { field: first.field }),
    message: more.message ?? invalidMessage(`${kind}${group}`, metadata.name, causes),
    causes,
    ...(more.detail === undefined ? {} : { detail: more.detail }),
    ...hintForCauses(causes),
    ...hintForDocument(document),
  };
}

/** File, document, line and column of a field. */
export function placeOf(
  document: ManifestDocument,
  path: FieldPath,
): Pick<Problem, 'file' | 'document' | 'line' | 'column'> {
  return { file: document.file, document: document.document, ...document.positionOf(path) };
}

/** `Service default/web`; hostile names stay on their line. */
export function objectName(kind: string, { name, namespace = '' }: ObjectMeta): string {
  if (name === '') return kind;
  return `${kind} ${goQuote(namespace === '' ? name : `${namespace}/${name}`).slice(1, -1)}`;
}

function rawNameOf({ kind, raw }: Entry, implied = ''): string {
  const { name, namespace = implied } = (raw.metadata ?? {}) as { name?: unknown; namespace?: unknown };
  return objectName(kind, {
    name: typeof name === 'string' ? name : '',
    ...(typeof namespace === 'string' ? { namespace } : {}),
  });
}

/** The path that the server's spelling of a field names in a manifest. */
function pathOf(field: string): FieldPath {
  // A new Service states its address as `clusterIP`; the server speaks of the list it makes of it.
  const written = field
    .replace('LoadBalancerSourceRanges', 'loadBalancerSourceRanges')
    .replace(/^spec\.clusterIPs.*/, 'spec.clusterIP');
  const steps = written.match(/[^.[\]]+|\[[^\]]*\]/g) ?? [];
  return steps.map((step) => {
    const inside = step.startsWith('[') ? step.slice(1, -1) : undefined;
    if (inside === undefined) return step;
    return /^\d+$/.test(inside) ? Number(inside) : inside;
  });
}

function describe(raw: unknown): string {
  return raw === null ? 'nothing' : `the ${typeof raw} ${JSON.stringify(raw).slice(0, 40)}`;
}
