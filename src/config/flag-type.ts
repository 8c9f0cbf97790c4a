import { parseAddress } from '../source/address.ts';
import { formatDuration, parseDuration } from './duration.ts';
import { quantity } from './field.ts';
import type { ModuleVerbosity } from './kube-proxy-configuration.ts';

export type FlagType =
  | 'string'
  | 'bool'
  | 'int32'
  | 'level'
  | 'float'
  | 'duration'
  | 'ip'
  | 'ip:port'
  | 'list'
  | 'gates'
  | 'vmodule'
  | 'quantity';

/** How the value of a flag is read from the command line, and printed again. */
interface FlagTypeRules {
  readonly expected: string;
  /** Undefined when it cannot be read. */
  readonly read: (text: string) => unknown;
  /** Repeated flags add up; otherwise the last one counts. */
  readonly isList?: boolean;
  /** `--flag=` is as if it were not given. */
  readonly ignoresEmpty?: boolean;
}

const rules: Readonly<Record<FlagType, FlagTypeRules>> = {
  string: { expected: 'a string', read: (text) => text },
  bool: { expected: 'true or false', read: (text) => booleans.get(text) },
  int32: { expected: 'a whole number of 32 bits', read: readInteger },
  level: { expected: 'a whole number from 0 to 2147483647, digits only', read: readLevel },
  float: { expected: 'a number', read: readNumber },
  duration: { expected: 'a duration such as 30s, 1m30s or 300ms', read: parseDuration },
  ip: { expected: 'an IP address', read: (text) => parseAddress(text)?.text, ignoresEmpty: true },
  // Whether it is one is for the validation of the configuration to say.
  'ip:port': { expected: 'IP or IP:port', read: (text) => text, ignoresEmpty: true },
  list: { expected: 'a list with commas', read: (text) => (text === '' ? [] : text.split(',')), isList: true },
  gates: { expected: 'name=true or name=false, with commas', read: readGates, isList: true },
  vmodule: { expected: 'pattern=N, with commas', read: readModules, isList: true },
  quantity: { expected: quantity().expected, read: (text) => quantity().read(text) },
};

/** What Go's `strconv.ParseBool` takes. */
const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
]);

/** What a flag's value turned out to be: absent, a value of the configuration's type, or wrong. */
export type FlagReading =
  | { readonly kind: 'absent' }
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'wrong'; readonly seen: string; readonly expected: string };

/**
 * Reads what the command line gave for a flag: one text, several (repeated), true (a bare switch), or nothing.
 * Lists give `string[]`, gates `Map<string, boolean>`, durations bigint nanoseconds, the others what their name says.
 */
export function readFlag(type: FlagType, given: unknown): FlagReading {
  const { expected, read, isList, ignoresEmpty } = rules[type];
  const all = (Array.isArray(given) ? given : given === undefined ? [] : [given]).map(String);
  const counted = isList === true ? [all.join(',')] : all.slice(-1);
  const [text] = counted;
  if (all.length === 0 || text === undefined || (text === '' && ignoresEmpty === true)) return { kind: 'absent' };
  const value = read(text);
  return value === undefined ? { kind: 'wrong', seen: text, expected } : { kind: 'value', value };
}

/** A value as kube-proxy's `/flagz` prints it. */
export function printFlag(value: unknown): string {
  if (typeof value === 'bigint') return formatDuration(value);
  if (value instanceof Map)
    return [...(value as Map<string, boolean>)].map(([name, on]) => `${name}=${String(on)}`).join(',');
  if (!Array.isArray(value)) return String(value);
  const list: readonly unknown[] = value;
  if (list.some(isModule))
    return list
      .filter(isModule)
      .map((module) => `${module.filePattern}=${module.verbosity}`)
      .join(',');
  return `[${list.join(',')}]`;
}

function isModule(value: unknown): value is ModuleVerbosity {
  return typeof value === 'object' && value !== null && 'filePattern' in value;
}

const integer = /^[+-]?(?:0x(?:_?[0-9a-f])+|0b(?:_?[01])+|0o?(?:_?[0-7])+|[1-9](?:_?[0-9])*|0)$/i;
const decimal = /^[+-]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:e[+-]?[0-9]+)?$/i;

/** 32 bits, with the base in front as in Go: `10256`, `0x2810`, `0o17`, `017`, `0b11`; `1_000` for those who count. */
function readInteger(text: string): number | undefined {
  if (!integer.test(text)) return undefined;
  const digits = text.replace(/^[+-]/, '').replaceAll('_', '');
  const value = Number(digits.replace(/^0(?=[0-7])/, '0o')) * (text.startsWith('-') ? -1 : 1);
  return value >= -(2 ** 31) && value <= 2 ** 31 - 1 ? value : undefined;
}

/** How much is logged is in decimal digits. */
function readLevel(text: string): number | undefined {
  const value = /^[0-9]+$/.test(text) ? Number(text) : NaN;
  return value <= 2 ** 31 - 1 ? value : undefined;
}

/** A decimal number that is not too large for Go's float32. */
function readNumber(text: string): number | undefined {
  const value = decimal.test(text) ? Number(text.replaceAll('_', '')) : NaN;
  return Number.isFinite(Math.fround(value)) ? value : undefined;
}

function readGates(text: string): ReadonlyMap<string, boolean> | undefined {
  const pairs = readPairs(text).map(([name, on]) => [name, booleans.get(on)] as const);
  const readable = pairs.filter((pair): pair is readonly [string, boolean] => pair[0] !== '' && pair[1] !== undefined);
  return readable.length === pairs.length ? new Map(readable) : undefined;
}

function readModules(text: string): readonly ModuleVerbosity[] | undefined {
  const modules = readPairs(text).map(([filePattern, level]) => ({
    filePattern,
    verbosity: readLevel(level) ?? -1,
  }));
  return modules.every(({ filePattern, verbosity }) => filePattern !== '' && verbosity >= 0) ? modules : undefined;
}

/** `a=1, b=2` as pairs; what has no `=` is a pair with an empty second part. */
function readPairs(text: string): (readonly [string, string])[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals < 0 ? ['', ''] : [part.slice(0, equals).trim(), part.slice(equals + 1).trim()];
    });
}
