import { noLines, objectId } from '../ruleset/ruleset.ts';
import type { ObjectKind, Ruleset, RulesetObject } from '../ruleset/ruleset.ts';
import { protocolNames } from './names.ts';
import { withNames } from './spelling.ts';

/** Text that is no ruleset as `nft list` prints it. */
export class RulesetSyntaxError extends Error {
  override readonly name = 'RulesetSyntaxError';
}

/**
 * Reads what `nft list ruleset` or `nft list table` prints, or what we render. Here alone is decided what is ours:
 * the tables `ip kube-proxy` and `ip6 kube-proxy`, whole, which nobody else may use. What rules put into dynamic
 * sets is state of connections and not part of the ruleset.
 */
export function parseNftables(text: string): Ruleset {
  const objects = new Map<string, RulesetObject>();
  const lines = new Lines(text);
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const [, family, name] = tableHead.exec(line) ?? [];
    if (family === undefined || name === undefined) throw lines.unexpected('a table');
    readTable(lines, `${family} ${name}`, objects);
  }
  return { parts: [[...objects.values()]] };
}

const tableHead = /^table ([a-z0-9]+) (\S+) \{$/;
const objectHead = /^(chain|set|map) (\S+) \{$/;

function readTable(lines: Lines, table: string, objects: Map<string, RulesetObject>): void {
  const definition: string[] = [];
  const own: RulesetObject[] = [];
  for (let line = lines.must(); line !== '}'; line = lines.must()) {
    const [, kind, name] = objectHead.exec(line) ?? [];
    if (kind === 'chain' && name !== undefined) own.push(readChain(lines, table, name));
    else if ((kind === 'set' || kind === 'map') && name !== undefined) own.push(readSet(lines, table, kind, name));
    else if (line.endsWith('{')) skipBlock(lines);
    else if (/^(?:comment|flags) /.test(line)) definition.push(line);
    else throw lines.unexpected('a chain, set or map');
  }
  for (const object of [objectOf(table, 'table', table, { definition }), ...own]) objects.set(object.id, object);
}

function readChain(lines: Lines, table: string, name: string): RulesetObject {
  const definition: string[] = [];
  const rules: string[] = [];
  for (let line = lines.must(); line !== '}'; line = lines.must()) {
    if (line.startsWith('type ') || line.startsWith('comment "')) definition.push(line);
    else rules.push(withNames(line.includes('{') ? lines.toClosingBrace(line) : line));
  }
  return objectOf(table, 'chain', name, { definition, lines: rules, isOrdered: true });
}

function readSet(lines: Lines, table: string, kind: 'set' | 'map', name: string): RulesetObject {
  const definition: string[] = [];
  let elements: readonly string[] = [];
  for (let line = lines.must(); line !== '}'; line = lines.must()) {
    if (line.startsWith('elements = {')) elements = readElements(lines, line.slice('elements = {'.length));
    else definition.push(line);
  }
  const isDynamic = definition.some((line) => /^flags .*\bdynamic\b/.test(line));
  return objectOf(table, kind, name, { definition, lines: isDynamic ? [] : withProtocols(elements, definition) });
}

/** Elements with the names of protocols, which may be listed by number: as we write them, they compare at once. */
function withProtocols(elements: readonly string[], definition: readonly string[]): readonly string[] {
  const type = definition.find((line) => line.startsWith('type '));
  const place =
    type
      ?.slice('type '.length)
      .split(/ [.:] /)
      .indexOf('inet_proto') ?? -1;
  return place === -1 ? elements : elements.map((element) => withProtocol(element, place));
}

function withProtocol(element: string, place: number): string {
  let start = 0;
  for (let part = 0; part < place; part++) start = element.indexOf(' . ', start) + ' . '.length;
  const end = element.indexOf(' ', start);
  const name = protocolNames.get(element.slice(start, end));
  return name === undefined ? element : element.slice(0, start) + name + element.slice(end);
}

function readElements(lines: Lines, first: string): readonly string[] {
  const elements: string[] = [];
  for (let line = first; ; line = lines.must()) {
    const isLast = line.endsWith('}');
    const content = isLast ? line.slice(0, -1).trimEnd() : line;
    if (content.includes('"')) elements.push(...splitOutsideQuotes(content));
    else if (content.includes(', ')) elements.push(...content.split(',').map((element) => element.trim()));
    else elements.push((content.endsWith(',') ? content.slice(0, -1) : content).trim());
    if (isLast) return elements.filter((element) => element !== '');
  }
}

function splitOutsideQuotes(text: string): string[] {
  const elements: string[] = [];
  let isQuoted = false;
  let start = 0;
  for (let index = 0; index <= text.length; index++) {
    const character = text[index];
    if (character === '"') isQuoted = !isQuoted;
    if (character === undefined || (character === ',' && !isQuoted)) {
      elements.push(text.slice(start, index).trim());
      start = index + 1;
    }
  }
  return elements;
}

/** Counters, flow tables and the like: they do not decide where a packet goes. */
function skipBlock(lines: Lines): void {
  for (let line = lines.must(); line !== '}'; line = lines.must()) {
    if (line.endsWith('{')) skipBlock(lines);
  }
}

const ownTables = ['ip kube-proxy', 'ip6 kube-proxy'];

function objectOf(table: string, kind: ObjectKind, name: string, content: Partial<RulesetObject>): RulesetObject {
  return {
    id: objectId(table, kind, name),
    table,
    kind,
    name,
    isOwned: ownTables.includes(table),
    definition: noLines,
    lines: [],
    isOrdered: false,
    tail: noLines,
    ...content,
  };
}

/** The lines of a listing without indentation, handles, comment lines and empty lines. */
class Lines {
  readonly #text: string;
  #at = 0;
  #count = 0;
  #current = '';

  constructor(text: string) {
    this.#text = text;
  }

  next(): string | undefined {
    while (this.#at < this.#text.length) {
      const end = this.#text.indexOf('\n', this.#at);
      const stop = end === -1 ? this.#text.length : end;
      this.#current = this.#text.slice(this.#at, stop).trim();
      this.#at = stop + 1;
      this.#count += 1;
      if (this.#current === '' || this.#current.startsWith('#')) continue;
      return withoutHandle(this.#current);
    }
    return undefined;
  }

  must(): string {
    const line = this.next();
    if (line === undefined) throw new RulesetSyntaxError('the listing ends inside a table: it was cut short');
    return line;
  }

  /** The line with those after it, until its braces are closed. */
  toClosingBrace(line: string): string {
    let whole = line;
    while (openBraces(whole) > 0) whole += ` ${this.must()}`;
    return whole;
  }

  unexpected(expected: string): RulesetSyntaxError {
    const shown = this.#current.length > 120 ? `${this.#current.slice(0, 120)}…` : this.#current;
    return new RulesetSyntaxError(
      `line ${this.#count} is not what nft list prints: ${JSON.stringify(shown)}; expected ${expected}`,
    );
  }
}

function withoutHandle(line: string): string {
  const at = line.lastIndexOf(' # handle ');
  return at === -1 ? line : line.slice(0, at);
}

function openBraces(line: string): number {
  let open = 0;
  let isQuoted = false;
  for (const character of line) {
    if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && character === '{') open += 1;
    else if (!isQuoted && character === '}') open -= 1;
  }
  return open;
}
