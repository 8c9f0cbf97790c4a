import { AmbiguousNumber } from '../yaml.ts';
import type { FieldPath } from '../yaml-position.ts';
import { goType } from './shape.ts';
import type { Shape, StructShape } from './shape.ts';

/** A field that does not fit its type or is not known, in the words of the API server's decoder. */
export interface DecodeError {
  readonly path: FieldPath;
  readonly message: string;
}

export interface Decoded {
  /** The object without nulls and unknown fields, as plain data of the shape; only to be used without errors. */
  readonly value: unknown;
  /** Wrong types, in the order in which the API server meets them. */
  readonly typeErrors: readonly DecodeError[];
  readonly unknownFields: readonly DecodeError[];
}

/** Reads an object as its Go type would take it from JSON. */
export function decode(raw: unknown, shape: StructShape): Decoded {
  const reading: Reading = { path: [], owner: shape.name, typeErrors: [], unknownFields: [] };
  const value = read(raw, shape, reading);
  return {
    value,
    // The server reads JSON that kubectl wrote with sorted keys.
    typeErrors: reading.typeErrors.toSorted(byPath),
    unknownFields: reading.unknownFields.toSorted(byPath),
  };
}

/** `spec.ports[0].nodePort`, as the API writes paths. */
export function fieldName(path: FieldPath): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}

interface Reading {
  readonly path: (string | number)[];
  /** The struct that is being read. */
  owner: string;
  readonly typeErrors: DecodeError[];
  readonly unknownFields: DecodeError[];
}

function read(raw: unknown, shape: Shape, reading: Reading): unknown {
  switch (shape.is) {
    case 'text':
      return typeof raw === 'string' ? raw : mismatch(raw, shape, reading);
    case 'flag':
      return typeof raw === 'boolean' ? raw : mismatch(raw, shape, reading);
    case 'integer':
      return isInteger(raw, shape.go) ? raw : mismatch(raw, shape, reading);
    case 'port':
      return typeof raw === 'string' || isInteger(raw, 'int32') ? raw : mismatch(raw, shape, reading);
    case 'map':
      return isObject(raw) ? readMap(raw, reading) : mismatch(raw, shape, reading);
    case 'list':
      return Array.isArray(raw) ? readList(raw, shape.of, reading) : mismatch(raw, shape, reading);
    case 'struct':
      return isObject(raw) ? readStruct(raw, shape, reading) : mismatch(raw, shape, reading);
    case 'anything':
      return raw;
  }
}

function readStruct(raw: object, shape: StructShape, reading: Reading): object {
  const outer = reading.owner;
  reading.owner = shape.name;
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    const field = shape.fields.get(key);
    reading.path.push(key);
    if (field === undefined) {
      if (!shape.isPartial) reading.unknownFields.push(unknownField(reading.path));
    } else if (value !== null && value !== undefined) {
      result[key] = read(value, field, reading);
    }
    reading.path.pop();
  }
  reading.owner = outer;
  return result;
}

function readList(raw: readonly unknown[], of: Shape, reading: Reading): unknown[] {
  return raw.map((value, index) => {
    if (value === null) return zeroOf(of);
    reading.path.push(index);
    const item = read(value, of, reading);
    reading.path.pop();
    return item;
  });
}

function readMap(raw: object, reading: Reading): object {
  const entries = Object.entries(raw).map(([key, value]): [string, unknown] => {
    if (typeof value === 'string') return [key, value];
    if (value === null) return [key, ''];
    reading.path.push(key);
    const item = mismatch(value, { is: 'text', go: 'string' }, reading, reading.path.slice(0, -1));
    reading.path.pop();
    return [key, item];
  });
  // Defines own properties whatever the key, `__proto__` included.
  return Object.fromEntries(entries);
}

function zeroOf(shape: Shape): unknown {
  if (shape.is === 'struct' || shape.is === 'map') return {};
  return shape.is === 'text' ? '' : 0;
}

function mismatch(raw: unknown, shape: Shape, reading: Reading, named: FieldPath = reading.path): unknown {
  const path = [...reading.path];
  if (raw instanceof AmbiguousNumber && (shape.is === 'integer' || shape.is === 'port')) {
    const message = `${fieldName(path)}: ${raw.text} is ambiguous: ${readings(raw.text)}; write the number that is meant`;
    reading.typeErrors.push({ path, message });
    return undefined;
  }
  const seen = jsonKind(raw, shape);
  const field = named.filter((step) => typeof step === 'string').join('.');
  const target = shape.is === 'port' ? 'value' : `struct field ${reading.owner}.${field}`;
  const message = `json: cannot unmarshal ${seen} into Go ${target} of type ${goType(shape)}`;
  reading.typeErrors.push({ path, message });
  return undefined;
}

function readings(text: string): string {
  const digits = text.replaceAll('_', '');
  if (/^[-+]?0[0-7]+$/.test(digits)) {
    return `kubectl reads it as ${Number.parseInt(digits, 8)} (octal), YAML 1.2 as ${Number.parseInt(digits, 10)}`;
  }
  return `kubectl reads it as a number, YAML 1.2 ${text.includes('_') ? 'as text' : `as ${Number.parseInt(digits, 10)}`}`;
}

/** What Go calls a JSON value; of a number that is no such integer also its digits. */
function jsonKind(raw: unknown, shape: Shape): string {
  if (Array.isArray(raw)) return 'array';
  if (raw instanceof AmbiguousNumber) return 'number';
  if (typeof raw === 'number') return shape.is === 'integer' || shape.is === 'port' ? `number ${raw}` : 'number';
  if (typeof raw === 'boolean') return 'bool';
  return typeof raw === 'string' ? 'string' : 'object';
}

function unknownField(path: FieldPath): DecodeError {
  return { path: [...path], message: `unknown field ${JSON.stringify(fieldName(path))}` };
}

function isObject(raw: unknown): raw is object {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) && !(raw instanceof AmbiguousNumber);
}

function isInteger(raw: unknown, go: 'int32' | 'int64'): raw is number {
  if (!Number.isInteger(raw)) return false;
  return go === 'int64' || raw === (raw as number) >> 0;
}

function byPath(left: DecodeError, right: DecodeError): number {
  for (let index = 0; index < left.path.length && index < right.path.length; index += 1) {
    const [a, b] = [left.path[index] ?? 0, right.path[index] ?? 0];
    if (a !== b) return a < b ? -1 : 1;
  }
  return left.path.length - right.path.length;
}
