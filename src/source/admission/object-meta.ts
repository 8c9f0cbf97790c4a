import type { ObjectMeta } from '../objects.ts';
import type { Cause } from '../problem.ts';
import { forbidden, invalid, required, tooLong } from './field-error.ts';
import { dnsLabelErrors, labelValueErrors, qualifiedNameErrors } from './names.ts';

/** All annotations of an object together, keys and values. */
const maxAnnotationBytes = 256 * 1024;

/** What the API server checks about the metadata of every object, `nameErrors` being the rule of its kind. */
export function objectMetaCauses(
  metadata: ObjectMeta,
  nameErrors: (name: string) => readonly string[],
  scope: 'namespace' | 'cluster' = 'namespace',
): Cause[] {
  const { name, namespace = '', labels = {}, annotations = {} } = metadata;
  const nameCauses =
    name === ''
      ? [required('metadata.name', 'name or generateName is required')]
      : nameErrors(name).map((error) => invalid('metadata.name', name, error));
  const namespaceCauses =
    scope === 'namespace'
      ? dnsLabelErrors(namespace).map((error) => invalid('metadata.namespace', namespace, error))
      : namespace === ''
        ? []
        : [forbidden('metadata.namespace', 'not allowed on this type')];
  return [
    ...nameCauses,
    ...namespaceCauses,
    ...labelCauses('metadata.labels', labels),
    ...annotationCauses('metadata.annotations', annotations),
  ];
}

/** Labels, or a selector of labels. */
export function labelCauses(field: string, labels: Readonly<Record<string, string>>): Cause[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...qualifiedNameErrors(key).map((error) => invalid(field, key, error)),
    ...labelValueErrors(value).map((error) => invalid(field, value, error)),
  ]);
}

function annotationCauses(field: string, annotations: Readonly<Record<string, string>>): Cause[] {
  const entries = Object.entries(annotations);
  const bytes = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  return [
    ...entries.flatMap(([key]) => qualifiedNameErrors(key.toLowerCase()).map((error) => invalid(field, key, error))),
    ...(bytes > maxAnnotationBytes ? [tooLong(field, maxAnnotationBytes)] : []),
  ];
}
