import type { Shape, StructShape } from './admission/shape.ts';
import type { Cause } from './problem.ts';
import type { ManifestDocument } from './yaml.ts';
import type { FieldPath } from './yaml-position.ts';

interface Hinted {
  readonly hint?: string;
}

/** What is usually behind any problem of a document like this. */
export function hintForDocument({ isTemplate }: ManifestDocument): Hinted {
  if (!isTemplate) return {};
  return { hint: 'this is a Helm template: render it first, for instance with `helm template`' };
}

/** Where a misplaced field belongs, or what a misspelt one is called. */
export function hintForUnknownField(path: FieldPath, shape: StructShape): Hinted {
  const name = String(path.at(-1));
  const places = [...new Set(placesOf(shape, name, ''))];
  if (places.length > 0) {
    const where = places.slice(0, 3).join(' or ');
    return { hint: `${name} is a field of ${where}: check its indentation` };
  }
  const similar = knownFields(shape).find((field) => isSimilar(field, name));
  return similar === undefined ? {} : { hint: `did you mean ${similar}?` };
}

/** What to do about refused values. */
export function hintForCauses(causes: readonly Cause[]): Hinted {
  const portless = causes.find(
    ({ field, message }) => isPortOfEntry.test(field) && message.startsWith('Invalid value: 0:'),
  );
  if (portless !== undefined) {
    const entry = portless.field.replace(/\.port$/, '');
    return { hint: `a dash starts a new entry, and ${entry} gives no port of its own` };
  }
  const [first] = causes;
  if (first === undefined) return {};
  if (/nodePort$/i.test(first.field)) return hintForNodePort(first);
  return first.field === 'metadata.name' && first.message.includes('lowercase')
    ? { hint: 'names hold lower case letters, digits and hyphens' }
    : {};
}

const isPortOfEntry = /^spec\.ports\[[1-9]\d*\]\.port$/;

function hintForNodePort({ field, message }: Cause): Hinted {
  const name = field.slice(field.lastIndexOf('.') + 1);
  if (message.includes('already allocated')) {
    return { hint: `choose another port, or leave ${name} out and a free one is chosen` };
  }
  if (!message.includes('not in the valid range')) return {};
  const port = Number(/\d+/.exec(message)?.[0]);
  // Linux's default net.ipv4.ip_local_port_range.
  const isEphemeral = port >= 32_768 && port <= 60_999;
  const advice = `choose a port of that range, or leave ${name} out and one is chosen`;
  return { hint: isEphemeral ? `${advice}; hosts use ${port} for connections of their own` : advice };
}

function placesOf(shape: Shape, name: string, path: string): string[] {
  if (shape.is === 'list') return placesOf(shape.of, name, `${path}[]`);
  if (shape.is !== 'struct') return [];
  const here = shape.fields.has(name) ? [path === '' ? `the ${shape.name} itself` : path] : [];
  const below = [...shape.fields].flatMap(([field, inner]) =>
    placesOf(inner, name, path === '' ? field : `${path}.${field}`),
  );
  return [...here, ...below];
}

function knownFields(shape: Shape): string[] {
  if (shape.is === 'list') return knownFields(shape.of);
  if (shape.is !== 'struct') return [];
  return [...shape.fields].flatMap(([field, inner]) => [field, ...knownFields(inner)]);
}

/** The same but for case, or for one letter too many, too few or wrong. */
function isSimilar(known: string, name: string): boolean {
  const [a, b] = [known.toLowerCase(), name.toLowerCase()];
  if (a === b) return true;
  if (a.length < 4 || Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  return Math.max(a.length, b.length) - start - end <= 1;
}
