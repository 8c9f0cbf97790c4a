import { JSON_SCHEMA, Type, YAMLException, load } from 'js-yaml';
import { looksLikeJson, readJson } from './json-syntax.ts';
import type { Problem } from './problem.ts';
import { positionsIn } from './yaml-position.ts';
import type { FieldPath, Position } from './yaml-position.ts';

/** The text of one input. */
export interface ManifestText {
  /** As the user named it; `-` for standard input. */
  readonly file: string;
  readonly text: string;
}

/** One document of a file, parsed to plain data. */
export interface ManifestDocument {
  readonly file: string;
  /** From 1; empty documents do not count. */
  readonly document: number;
  /** Line of the first thing in it, from 1. */
  readonly line: number;
  /** It holds what Helm would have replaced. */
  readonly isTemplate: boolean;
  readonly value: unknown;
  /** Where a field stands, or else what encloses it. Parses the document again: for errors only. */
  readonly positionOf: (path: FieldPath) => Position;
}

/** A number that tools read differently: `010` is 8 for kubectl and 10 for YAML 1.2. */
export class AmbiguousNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** More than any real manifest repeats through aliases; what an alias bomb exceeds at once. */
const maxAliasedNodes = 200_000;

/**
 * Splits a text into its documents and parses each, so that an error in one hides none of the others. JSON is YAML,
 * and JSON values may follow each other as `jq` prints them. Numbers and booleans are read as kubectl reads them, keys
 * given twice are refused.
 */
export function parseDocuments({ file, text }: ManifestText): {
  readonly documents: readonly ManifestDocument[];
  readonly problems: readonly Problem[];
} {
  const documents: ManifestDocument[] = [];
  const problems: Problem[] = [];
  for (const chunk of parts(text.startsWith('\uFEFF') ? text.slice(1) : text)) {
    const document = documents.length + problems.length + 1;
    const positionInChunk = positionsIn(chunk.text, schema);
    const positionOf = (path: FieldPath): Position => {
      const { line, column } = positionInChunk(path);
      return { line: line + chunk.line - 1, column };
    };
    try {
      const value = parse(chunk.text);
      if (value === null || value === undefined) continue;
      const line = chunk.line + leadingLines(chunk.text);
      documents.push({ file, document, line, isTemplate: chunk.text.includes('{{'), value, positionOf });
    } catch (error) {
      problems.push({ file, document, ...syntaxProblem(error, chunk) });
    }
  }
  return { documents, problems };
}

interface Chunk {
  readonly text: string;
  /** Line in the file of the chunk's first line, from 1. */
  readonly line: number;
}

/** The parts between `---` lines that hold more than comments and directives. */
function* chunks(text: string): Generator<Chunk> {
  const marker = /^---(?=\s|$)/gm;
  let start = 0;
  let line = 1;
  for (;;) {
    const end = marker.exec(text)?.index ?? text.length;
    const part = text.slice(start, end);
    // What follows a marker on its line belongs to the document and keeps its column.
    const indent = start > 0 && !/^\r?\n/.test(part) ? '   ' : '';
    if (/^[^\S\n]*[^\s#%]/m.test(part)) yield { text: indent + part, line };
    line += newlines(part);
    if (end === text.length) return;
    start = end + 3;
    marker.lastIndex = start;
  }
}

/** The documents: what stands between `---` lines, and there each JSON value where one follows another. */
function* parts(text: string): Generator<Chunk> {
  for (const chunk of chunks(text)) {
    if (looksLikeJson(chunk.text) && /\}\s*\{/.test(chunk.text)) yield* jsonValues(chunk);
    else yield chunk;
  }
}

function jsonValues({ text, line }: Chunk): readonly Chunk[] {
  const { starts } = readJson(text);
  return starts.map((start, index) => {
    const place = placeOf(text, start);
    return { text: ' '.repeat(place.column) + text.slice(start, starts[index + 1]), line: line + place.line };
  });
}

function newlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}

function leadingLines(text: string): number {
  return newlines(text.slice(0, /^[^\S\n]*[^\s#]/m.exec(text)?.index ?? 0));
}

function parse(text: string): unknown {
  // js-yaml itself refuses what is nested deeper than 100 levels.
  const value = load(text, { schema });
  if (/[&*]/.test(text) && hasMoreNodes(value, maxAliasedNodes) && hasAlias(text)) {
    throw new YAMLException(`aliases expand to more than ${maxAliasedNodes} values`);
  }
  return value;
}

function hasAlias(text: string): boolean {
  return /(?:^|[\s[{,])\*[^\s,[\]{}]/.test(text);
}

/** Counts with aliases expanded, and not on beyond the limit. */
function hasMoreNodes(value: unknown, limit: number): boolean {
  const pending: unknown[] = [value];
  for (let count = 0; pending.length > 0; count += 1) {
    if (count > limit || pending.length > limit) return true;
    const node = pending.pop();
    if (typeof node !== 'object' || node === null) continue;
    for (const child of Object.values(node)) pending.push(child);
  }
  return false;
}

function syntaxProblem(error: unknown, chunk: Chunk): Omit<Problem, 'file' | 'document'> {
  if (!(error instanceof YAMLException)) throw error;
  const { text } = chunk;
  // Nested too deep is no mistake of JSON.
  const isJson = looksLikeJson(text) && !error.reason.includes('nesting');
  const mistake = isJson ? readJson(text).mistake : undefined;
  if (mistake !== undefined)
    return problemAt(chunk, placeOf(text, mistake.offset), `not valid JSON: ${mistake.message}`);
  const message = `not valid ${looksLikeJson(text) ? 'JSON' : 'YAML'}: ${error.reason}`;
  // Errors of our own carry no mark.
  const mark = error.mark as YAMLException['mark'] | undefined;
  if (mark === undefined) return { line: chunk.line + leadingLines(text), message, ...hintFor(text, error.reason) };
  return problemAt(chunk, mark, message, error.reason);
}

interface Place {
  /** Both from 0. */
  readonly line: number;
  readonly column: number;
}

function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: newlines(before), column: offset - before.lastIndexOf('\n') - 1 };
}

function problemAt({ text, line }: Chunk, place: Place, message: string, reason = '') {
  const lineText = (text.split('\n')[place.line] ?? '').replace(/\r$/, '');
  return {
    line: line + place.line,
    column: place.column + 1,
    message,
    excerpt: excerptOf(lineText, place.column),
    ...hintFor(text, reason, lineText),
  };
}

function excerptOf(lineText: string, column: number): [string, string] {
  const from = Math.max(0, column - 60);
  return [lineText.slice(from, from + 120).replaceAll('\t', ' '), `${' '.repeat(column - from)}^`];
}

/** What usually is behind an error of syntax. */
function hintFor(text: string, reason: string, line = ''): { hint?: string } {
  if (text.includes('{{'))
    return { hint: 'this is a Helm template: render it first, for instance with `helm template`' };
  if (!looksLikeJson(text) && /^ *\t/.test(line)) return { hint: 'YAML is indented with blanks, never with tabs' };
  if (reason.includes('duplicated') && /^(?:apiVersion|kind|metadata|spec):/.test(line))
    return { hint: 'a line of three dashes, ---, separates one object from the next' };
  if (!reason.includes('indentation')) return {};
  const field = /^\s*(?:- )?(port|targetPort|nodePort|protocol|name)\s*:/.exec(line)?.[1];
  return field === undefined
    ? {}
    : {
        hint: `check the indentation: ${field} stands in the same column as the other fields of its entry in spec.ports`,
      };
}

const integer = /^[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)$/;
const ambiguousInteger = /^[-+]?(?:0[0-9_]+|[1-9][0-9]*_[0-9_]*)$/;
const yes = /^(?:true|True|TRUE|yes|Yes|YES|on|On|ON)$/;
const no = /^(?:false|False|FALSE|no|No|NO|off|Off|OFF)$/;

// kubectl reads YAML 1.1; where that differs from YAML 1.2 we follow kubectl or refuse, never guess.
const schema = JSON_SCHEMA.extend({
  implicit: [
    new Type('tag:yaml.org,2002:int', {
      kind: 'scalar',
      resolve: (text: string | null) => text !== null && (integer.test(text) || ambiguousInteger.test(text)),
      construct: (text: string) => (ambiguousInteger.test(text) ? new AmbiguousNumber(text) : integerOf(text)),
    }),
    new Type('tag:yaml.org,2002:bool', {
      kind: 'scalar',
      resolve: (text: string | null) => text !== null && (yes.test(text) || no.test(text)),
      construct: (text: string) => yes.test(text),
    }),
    new Type('tag:yaml.org,2002:merge', { kind: 'scalar', resolve: (text: string | null) => text === '<<' }),
  ],
});

function integerOf(text: string): number {
  const digits = text.replace(/^[-+]/, '');
  return text.startsWith('-') ? -Number(digits) : Number(digits);
}
