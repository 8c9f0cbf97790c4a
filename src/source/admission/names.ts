/**
 * The forms of names in the API. Each function returns what is wrong with a text in the API server's words, and
 * nothing when all is well.
 */

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValue = `(${qualified})?`;

// The published expressions nest quantifiers; these say the same and never backtrack far.
const labelForm = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const qualifiedForm = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const longLabelForm = /^[-a-z0-9]+$/;
const longQualifiedForm = /^[-A-Za-z0-9_.]+$/;

/** RFC 1123 label: names of Services, Namespaces and ports. */
export function dnsLabelErrors(text: string): string[] {
  if (labelForm.test(text)) return [];
  const errors = text.length > 63 ? [maxCharacters(63)] : [];
  if (isEdged(text, longLabelForm)) return errors;
  const rule =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
  return [...errors, formError(rule, label, ['my-name', '123-abc'])];
}

/** RFC 1123 subdomain: names of most other objects. */
export function dnsSubdomainErrors(text: string): string[] {
  const errors = text.length > 253 ? [maxCharacters(253)] : [];
  if (text.split('.').every((part) => isEdged(part, longLabelForm))) return errors;
  const rule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
  return [...errors, formError(rule, subdomain, ['example.com'])];
}

/** Keys of labels and annotations: a name with an optional DNS prefix. */
export function qualifiedNameErrors(text: string): string[] {
  const rule =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  const examples = ['MyName', 'my.name', '123-abc'];
  const parts = text.split('/');
  if (parts.length > 2) {
    const form = formError(`a qualified name ${rule}`, qualified, examples);
    return [`${form} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const name = parts.at(-1) ?? '';
  const errors: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    const prefixErrors = prefix === '' ? ['must be non-empty'] : dnsSubdomainErrors(prefix);
    errors.push(...prefixErrors.map((error) => `prefix part ${error}`));
  }
  if (name === '') errors.push('name part must be non-empty');
  else if (byteLength(name) > 63) errors.push(`name part ${maxBytes(63)}`);
  if (!isQualified(name)) errors.push(`name part ${formError(rule, qualified, examples)}`);
  return errors;
}

/** Values of labels. */
export function labelValueErrors(text: string): string[] {
  if (text === '' || qualifiedForm.test(text)) return [];
  const errors = byteLength(text) > 63 ? [maxBytes(63)] : [];
  if (isQualified(text)) return errors;
  const rule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  return [...errors, formError(rule, labelValue, ['MyValue', 'my_value', '12345'])];
}

/** Names of container ports, which a `targetPort` may give (IANA service names). */
export function portNameErrors(text: string): string[] {
  const errors: string[] = [];
  if (byteLength(text) > 15) errors.push(maxCharacters(15));
  if (!longLabelForm.test(text)) errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(text)) errors.push('must contain at least one letter (a-z)');
  if (text.includes('--')) errors.push('must not contain consecutive hyphens');
  if (text.startsWith('-') || text.endsWith('-')) errors.push('must not begin or end with a hyphen');
  return errors;
}

/** Fully qualified domain names, the addresses of slices of type FQDN. */
export function fqdnErrors(text: string): string[] {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  const errors = dnsSubdomainErrors(name);
  if (errors.length > 0) return errors;
  const parts = name.split('.');
  if (parts.length < 2) return ['should be a domain with at least two segments separated by dots'];
  return parts.flatMap(dnsLabelErrors);
}

export function portNumberErrors(port: number): string[] {
  return port >= 1 && port <= 65_535 ? [] : ['must be between 1 and 65535, inclusive'];
}

function isQualified(text: string): boolean {
  return qualifiedForm.test(text) || (isEdged(text, longQualifiedForm) && /^[A-Za-z0-9]/.test(text));
}

/** All characters fit and both ends are letters or digits. */
function isEdged(text: string, form: RegExp): boolean {
  return form.test(text) && !/^[-_.]|[-_.]$/.test(text);
}

function formError(rule: string, expression: string, examples: readonly string[]): string {
  const listed = examples.map((example) => `'${example}', `).join(' or ');
  return `${rule} (e.g. ${listed}regex used for validation is '${expression}')`;
}

function maxCharacters(count: number): string {
  return `must be no more than ${count} characters`;
}

function maxBytes(count: number): string {
  return `must be no more than ${count} bytes`;
}

function byteLength(text: string): number {
  return Buffer.byteLength(text);
}
