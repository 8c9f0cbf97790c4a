import { formatDuration, parseDuration } from './duration.ts';
import type { Duration } from './duration.ts';

/** One value of a configuration: how it is read from JSON, what it is when absent, how it is written. */
export interface Leaf<T> {
  readonly kind: 'leaf';
  /** For messages: `expected …`. */
  readonly expected: string;
  /** The value when the field is absent or null. */
  readonly initial: T;
  /** Null is no absence here but an error, as for a plain duration in kube-proxy. */
  readonly refusesNull?: boolean;
  /** Undefined when the JSON value is of another type. */
  readonly read: (value: unknown) => T | undefined;
  /** The JSON value; undefined leaves the field out. */
  readonly write: (value: T) => unknown;
}

/** An object with known fields, in the order they are written. */
export interface Group<T> {
  readonly kind: 'group';
  readonly fields: { readonly [K in keyof T]-?: Field<T[K]> };
}

export type Field<T> = Leaf<T> | Group<T>;

export function group<T>(fields: Group<T>['fields']): Group<T> {
  return { kind: 'group', fields };
}

/** An empty string counts as absent. */
export function text(initial = ''): Leaf<string> {
  return {
    kind: 'leaf',
    expected: 'a string',
    initial,
    read: (value) => (typeof value === 'string' ? value || initial : undefined),
    write: (value) => value,
  };
}

export function bool(initial = false): Leaf<boolean> {
  return {
    kind: 'leaf',
    expected: 'true or false',
    initial,
    read: (value) => (typeof value === 'boolean' ? value : undefined),
    write: (value) => value,
  };
}

/** Left out when written as false. */
export function optionalBool(): Leaf<boolean> {
  return { ...bool(), write: (value) => value || undefined };
}

export function int32(initial: number): Leaf<number> {
  return {
    kind: 'leaf',
    expected: 'a whole number of 32 bits',
    initial,
    read: (value) => (isInt32(value) ? value : undefined),
    write: (value) => value,
  };
}

export function uint32(initial: number): Leaf<number> {
  return {
    ...int32(initial),
    expected: 'a whole number from 0 to 4294967295',
    read: (value) => (Number.isInteger(value) && isBetween(value, 0, 2 ** 32 - 1) ? value : undefined),
  };
}

export function float(initial: number): Leaf<number> {
  return { ...int32(initial), expected: 'a number', read: (value) => (isFiniteNumber(value) ? value : undefined) };
}

/** A Go duration in a string. */
export function duration(initial = '0s'): Leaf<Duration> {
  return {
    kind: 'leaf',
    expected: 'a duration such as "30s", "1m30s" or "300ms"',
    initial: parseDuration(initial) ?? 0n,
    refusesNull: true,
    read: (value) => (typeof value === 'string' ? parseDuration(value) : undefined),
    write: formatDuration,
  };
}

/** A duration that may be null, and then is what it is when absent. */
export function optionalDuration(initial: string): Leaf<Duration> {
  return { ...duration(initial), refusesNull: false };
}

/** A duration, or a bare number of nanoseconds. */
export function durationOrNanoseconds(initial: string): Leaf<Duration> {
  const inText = optionalDuration(initial);
  return {
    ...inText,
    read: (value) => inText.read(Number.isInteger(value) ? `${BigInt(value as number)}ns` : value),
  };
}

/** Written 0 it is taken for absent. */
export function zeroIsAbsent<T extends number | bigint>(leaf: Leaf<T>): Leaf<T> {
  return {
    ...leaf,
    read: (value) => {
      const read = leaf.read(value);
      return read === undefined || Number(read) !== 0 ? read : leaf.initial;
    },
  };
}

/** Null when empty. */
export function texts(): Leaf<readonly string[]> {
  return {
    kind: 'leaf',
    expected: 'a list of strings',
    initial: [],
    read: (value) => {
      if (!Array.isArray(value)) return undefined;
      const list: readonly unknown[] = value;
      return list.every((item) => typeof item === 'string') ? list : undefined;
    },
    write: (value) => (value.length === 0 ? null : value),
  };
}

/** Names that are true or false; left out when there are none. */
export function switches(): Leaf<ReadonlyMap<string, boolean>> {
  return {
    kind: 'leaf',
    expected: 'names with the values true or false',
    initial: new Map(),
    read: (value) => {
      if (!isObject(value)) return undefined;
      const entries = Object.entries(value).map(([name, on]): [string, unknown] => [name, on ?? false]);
      return entries.every(isSwitch) ? new Map(entries) : undefined;
    },
    write: (value) =>
      value.size === 0 ? undefined : Object.fromEntries([...value].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** A quantity of bytes such as `64Ki`, kept as text. */
export function quantity(): Leaf<string> {
  return {
    kind: 'leaf',
    expected: 'a quantity such as 0, 512 or "64Ki"',
    initial: '0',
    read: (value) => {
      if (typeof value === 'number') return String(value);
      return typeof value === 'string' && /^[+-]?[0-9.]+(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$/.test(value)
        ? value
        : undefined;
    },
    write: (value) => value,
  };
}

/** True for plain JSON objects. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSwitch(entry: [string, unknown]): entry is [string, boolean] {
  return typeof entry[1] === 'boolean';
}

function isInt32(value: unknown): value is number {
  return Number.isInteger(value) && isBetween(value, -(2 ** 31), 2 ** 31 - 1);
}

function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

function isBetween(value: unknown, low: number, high: number): value is number {
  return typeof value === 'number' && value >= low && value <= high;
}
