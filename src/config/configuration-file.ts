import { isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import type { Document, ParsedNode } from 'yaml';
import { decodeConfiguration, shown } from './configuration-decoder.ts';
import type { DecodingReport, Path } from './configuration-decoder.ts';
import { isObject } from './field.ts';
import { apiVersion, kind } from './kube-proxy-configuration.ts';
import type { KubeProxyConfiguration } from './kube-proxy-configuration.ts';

/** What became of a configuration file. With problems, the configuration is not to be used. */
export interface DecodedFile {
  readonly configuration: KubeProxyConfiguration;
  /** What was ignored: unknown and duplicate fields, further documents. */
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
  /** `FILE:LINE` of a field given as `iptables.masqueradeBit`; only the file where it is not written. */
  readonly locate: (field: string) => string;
}

/**
 * Reads a KubeProxyConfiguration from YAML or JSON. Like kube-proxy it ignores unknown and duplicate fields (the
 * last one counts), with a warning, and refuses values of a wrong type, another kind and an unknown apiVersion.
 * Fields that are absent have their defaults.
 */
export function decodeConfigurationFile(path: string, content: string): DecodedFile {
  const lines = new LineCounter();
  const documents = readDocuments(content, lines);
  const document = documents[0];
  const locate = (field: string): string => locateIn(path, document, lines, field.split(/[.[\]]+/).filter(Boolean));
  const report = new Report(locate);
  if (documents.length > 1) report.warnings.push(`${path}: only the first of its YAML documents is read`);
  const json = readJson(document, path, report);
  if (report.problems.length === 0) {
    if (document?.contents != null) warnOfDuplicates(document.contents, [], report);
    checkKind(json, report);
  }
  const configuration = decodeConfiguration(isObject(json) ? withoutType(json) : {}, report);
  return { configuration, warnings: report.warnings, problems: report.problems, locate };
}

class Report implements DecodingReport {
  readonly warnings: string[] = [];
  readonly problems: string[] = [];
  readonly #locate: (field: string) => string;

  constructor(locate: (field: string) => string) {
    this.#locate = locate;
  }

  warn(path: Path, message: string): void {
    this.warnings.push(this.#at(path, message));
  }

  refuse(path: Path, message: string): void {
    this.problems.push(this.#at(path, message));
  }

  #at(path: Path, message: string): string {
    const field = path.join('.').replace(/\.([0-9]+)(?=\.|$)/g, '[$1]');
    return `${this.#locate(field)}: ${field}: ${message}`;
  }
}

/** None when the content is nested too deeply to be read. */
function readDocuments(content: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  try {
    // kube-proxy's YAML is 1.1 (`yes` is true), but without its dates and numbers to base 60.
    return parseAllDocuments(content, {
      schema: 'yaml-1.1',
      customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !isForeign(tag)),
      uniqueKeys: false,
      lineCounter,
    });
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}

function isForeign(tag: { readonly tag: string; readonly format?: string }): boolean {
  return tag.format === 'TIME' || /:(?:timestamp|binary|omap|pairs|set)$/.test(tag.tag);
}

function readJson(document: Document.Parsed | undefined, path: string, report: Report): unknown {
  const refuse = (message: string): void => {
    report.problems.push(`${path}: not a readable YAML document: ${message}`);
  };
  if (document === undefined) {
    refuse('it is empty, or nested too deeply');
    return undefined;
  }
  const [error] = document.errors;
  if (error) {
    refuse(error.message.trimEnd());
    return undefined;
  }
  try {
    return document.toJS();
  } catch (cause) {
    // An alias without its anchor, or far too many.
    refuse(cause instanceof Error ? cause.message : String(cause));
    return undefined;
  }
}

function warnOfDuplicates(node: ParsedNode, path: Path, report: Report): void {
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) warnOfDuplicates(item, [...path, String(index)], report);
  }
  if (!isMap(node)) return;
  const seen = new Set<string>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : '';
    if (seen.has(name)) report.warn([...path, name], 'given more than once; the last one counts');
    seen.add(name);
    if (isNode(value)) warnOfDuplicates(value, [...path, name], report);
  }
}

function checkKind(json: unknown, report: Report): void {
  const given: Readonly<Record<string, unknown>> = isObject(json) ? json : {};
  if (given['kind'] !== kind) report.refuse(['kind'], `got ${shown(given['kind'])}, expected ${kind}`);
  if (given['apiVersion'] !== apiVersion) {
    report.refuse(['apiVersion'], `got ${shown(given['apiVersion'])}, expected ${apiVersion}`);
  }
}

function withoutType(json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(json).filter(([name]) => name !== 'kind' && name !== 'apiVersion'));
}

function locateIn(file: string, document: Document | undefined, lines: LineCounter, path: Path): string {
  const node = path.reduce<unknown>(inner, path.length > 0 ? document?.contents : undefined);
  const offset = isNode(node) ? node.range?.[0] : undefined;
  return offset === undefined ? file : `${file}:${lines.linePos(offset).line}`;
}

/** Of a name that is given twice the one that counts. */
function inner(node: unknown, name: string): unknown {
  if (isSeq(node)) return node.items[Number(name)];
  return isMap(node) ? node.items.findLast(({ key }) => isScalar(key) && String(key.value) === name)?.value : undefined;
}
