/** How serious a line is. `info` covers the verbosity levels (`-v`) too. */
export type Severity = 'info' | 'warning' | 'error';

/** What a line is about, by name. Values are printed; an `Error` with its causes. */
export type LogFields = Readonly<Record<string, unknown>>;

/** One thing that is said once. */
export interface LogEntry {
  readonly severity: Severity;
  /** The `-v` level that it takes to see it. */
  readonly verbosity: number;
  readonly message: string;
  readonly fields: LogFields;
  readonly time: Date;
  /** Print the stacks of errors too. */
  readonly withStacks: boolean;
}

// A rule dump in a log line helps nobody beyond this.
const maxValueLength = 4096;
const maxDepth = 6;

/**
 * The line of `--logging-format text`, as Kubernetes' components print theirs: severity and time, process, who, then
 * the quoted message and `key=value` pairs. Never holds a control character, whatever a user named an object.
 */
export function textLine(entry: LogEntry, pid: number): string {
  const pairs = printedFields(entry).map(([key, value]) => ` ${key}=${visible(JSON.stringify(value))}`);
  const header = `${letters[entry.severity]}${klogTime(entry.time)} ${String(pid).padStart(7)} portwright]`;
  return `${header} ${visible(JSON.stringify(clean(entry.message)))}${pairs.join('')}`;
}

/** The line of `--logging-format json`: `ts` in milliseconds, `level`, `msg`, `v`, then the fields; errors under `err`. */
export function jsonLine(entry: LogEntry): string {
  const line = {
    ts: entry.time.getTime(),
    level: entry.severity,
    msg: clean(entry.message),
    ...(entry.severity === 'info' && { v: entry.verbosity }),
    ...Object.fromEntries(printedFields(entry)),
  };
  return visible(JSON.stringify(line));
}

const letters: Readonly<Record<Severity, string>> = { info: 'I', warning: 'W', error: 'E' };

/** `mmdd hh:mm:ss.uuuuuu` in local time, which log collectors have a pattern for. */
function klogTime(time: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const date = two(time.getMonth() + 1) + two(time.getDate());
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return `${date} ${clock}.${String(time.getMilliseconds()).padStart(3, '0')}000`;
}

/** Errors first and called `err`, as readers of kube-proxy's logs expect; absent values left out. */
function printedFields(entry: LogEntry): [string, unknown][] {
  const errors: [string, unknown][] = [];
  const others: [string, unknown][] = [];
  for (const [key, value] of Object.entries(entry.fields)) {
    if (value === undefined) continue;
    if (!(value instanceof Error)) others.push([key, secretKey.test(key) ? hidden : plain(value, maxDepth)]);
    else {
      errors.push([key === 'error' ? 'err' : key, clean(fullMessage(value))]);
      if (entry.withStacks && value.stack !== undefined) errors.push(['stack', clean(value.stack)]);
    }
  }
  return [...errors, ...others];
}

/** An error's message and those of its causes, each said once. */
function fullMessage(error: Error): string {
  const seen = new Set<unknown>();
  let text = '';
  for (let cause: unknown = error; cause !== undefined && !seen.has(cause);) {
    seen.add(cause);
    const message = cause instanceof Error ? cause.message || cause.name : JSON.stringify(plain(cause, maxDepth));
    if (!text.includes(message)) text += text === '' ? message : `: ${message}`;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return text;
}

/** What JSON can hold, of bounded depth and length, so that no value can make logging throw. */
function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return clean(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (value instanceof Error) return clean(fullMessage(value));
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'no date' : value.toISOString();
  if (typeof value === 'bigint' || typeof value === 'symbol') return value.toString();
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value !== 'object') return undefined;
  if (depth === 0) return '…';
  if (Array.isArray(value)) return value.map((item) => plain(item, depth - 1));
  if (value instanceof Set) return [...value].map((item) => plain(item, depth - 1));
  const entries = value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, item]) => [String(key), secretKey.test(String(key)) ? hidden : plain(item, depth - 1)]),
  );
}

const hidden = '[hidden]';
const secretKey = /^(?:.*token|authorization|password|.*secret|client-?key(?:-?data)?)$/i;

/** Shortened, and without anything that looks like a bearer token. */
function clean(text: string): string {
  const short = text.length > maxValueLength ? `${text.slice(0, maxValueLength)}… (${text.length} characters)` : text;
  return short.replace(/\bBearer\s+[^\s"',]+/gi, `Bearer ${hidden}`).replace(/\beyJ[\w-]{8,}(?:\.[\w-]*)+/g, hidden);
}

/** JSON leaves DEL, the C1 controls, line separators and the marks that reorder text as they are; a terminal obeys them. */
function visible(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
