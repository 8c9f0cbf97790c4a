import { isObject } from './field.ts';
import type { Field } from './field.ts';
import { configurationFields } from './kube-proxy-configuration.ts';
import type { KubeProxyConfiguration } from './kube-proxy-configuration.ts';
import { nearName } from './near-name.ts';

/** Names of fields from the outside in. */
export type Path = readonly string[];

/** Hears what is odd (`warn`: ignored) and what is wrong (`refuse`) at a field. */
export interface DecodingReport {
  readonly warn: (path: Path, message: string) => void;
  readonly refuse: (path: Path, message: string) => void;
}

/** Reads the fields of a configuration from JSON; absent and refused ones have their defaults. */
export function decodeConfiguration(
  json: Readonly<Record<string, unknown>>,
  report: DecodingReport,
): KubeProxyConfiguration {
  return decode(configurationFields, json, [], report);
}

function decode<T>(field: Field<T>, value: unknown, path: Path, report: DecodingReport): T {
  if (field.kind === 'leaf') {
    if (value === undefined || (value === null && field.refusesNull !== true)) return field.initial;
    const read = field.read(value);
    if (read === undefined) report.refuse(path, `got ${shown(value)}, expected ${field.expected}`);
    return read ?? field.initial;
  }
  if (!isObject(value) && value != null) report.refuse(path, `got ${shown(value)}, expected an object with fields`);
  const given = new Map(isObject(value) ? Object.entries(value) : []);
  const known = Object.keys(field.fields);
  for (const name of given.keys())
    if (!known.includes(name)) report.warn([...path, name], unknownField(name, known, path));
  const fields = Object.entries(field.fields) as [string, Field<unknown>][];
  return Object.fromEntries(
    fields.map(([name, inner]) => [name, decode(inner, given.get(name), [...path, name], report)]),
  ) as T;
}

function unknownField(name: string, siblings: readonly string[], path: Path): string {
  const sibling = nearName(name, siblings);
  const suggested =
    sibling === undefined
      ? fieldPaths(configurationFields, []).find((other) => other.at(-1)?.toLowerCase() === name.toLowerCase())
      : [...path, sibling];
  const hint = suggested === undefined ? '' : `; did you mean ${suggested.join('.')}?`;
  return `unknown field, ignored${hint}`;
}

function fieldPaths<T>(field: Field<T>, path: Path): Path[] {
  if (field.kind === 'leaf') return [path];
  const fields = Object.entries(field.fields) as [string, Field<unknown>][];
  return [path, ...fields.flatMap(([name, inner]) => fieldPaths(inner, [...path, name]))];
}

/** A value as JSON for a message, shortened. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const json = JSON.stringify(value);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}
