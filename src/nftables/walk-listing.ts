import { objectId } from '../ruleset/ruleset.ts';
import type { ObjectKind, Ruleset, RulesetObject } from '../ruleset/ruleset.ts';

/** Lines of a table, set, map or chain that say what it is. */
const definitions = /^(?:type|typeof|flags|comment|size|timeout|gc-interval|auto-merge|policy|devices?)\b/;
const kinds = new Set<string>(['chain', 'set', 'map']);

/** Reads any number of tables as `nft list` prints them, whoever they belong to, for the walker alone. */
export function readListing(text: string): Ruleset {
  const objects = new Map<string, RulesetObject>();
  let table = '';
  let object: { kind: string; name: string; definition: string[]; lines: string[] } | undefined;
  for (const line of statements(text)) {
    const opening = /^(\w+(?: \w+)?) (\S+) \{$/.exec(line);
    if (table === '') {
      if (opening?.[1]?.startsWith('table ') === true)
        table = `${opening[1].slice('table '.length)} ${opening[2] ?? ''}`;
    } else if (object === undefined) {
      if (line === '}') table = '';
      else if (opening !== null) object = { kind: opening[1] ?? '', name: opening[2] ?? '', definition: [], lines: [] };
    } else if (line !== '}') {
      const elements = /^elements = \{(.*)\}$/.exec(line);
      if (elements !== null) object.lines.push((elements[1] ?? '').trim());
      else (definitions.test(line) && !isRule(object.kind, line) ? object.definition : object.lines).push(line);
    } else {
      if (kinds.has(object.kind)) {
        const kind = object.kind as ObjectKind;
        const id = objectId(table, kind, object.name);
        objects.set(id, { id, table, isOwned: false, isOrdered: true, tail: [], ...object, kind });
      }
      object = undefined;
    }
  }
  return { objects };
}

/** A chain has only its hook and its comment beside rules; no rule begins like these. */
function isRule(kind: string, line: string): boolean {
  return kind === 'chain' && !/^(?:type \w+ hook|comment|policy) /.test(line);
}

/** The lines of a listing, with those joined that a brace opened and did not close, but not the bodies of objects. */
function* statements(text: string): Generator<string> {
  let pending = '';
  for (const printed of text.split('\n')) {
    const line = printed.replace(/ # handle \d+$/, '').trim();
    if (pending === '' && (line === '' || line.startsWith('#'))) continue;
    pending = pending === '' ? line : `${pending} ${line}`;
    const isBody = pending === line && line.endsWith('{') && !line.startsWith('elements');
    if (!isBody && pending !== '}' && openBraces(pending) > 0) continue;
    yield pending;
    pending = '';
  }
}

function openBraces(text: string): number {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, '');
  return bare.split('{').length - bare.split('}').length;
}
