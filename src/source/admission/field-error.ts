import type { Cause } from '../problem.ts';

/**
 * Causes of a refusal, spelled as the API server's field errors. Values print as Go prints them: strings quoted,
 * numbers and booleans bare, everything else as JSON.
 */
export function required(field: string, detail = ''): Cause {
  return {
    reason: 'FieldValueRequired',
    field,
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  };
}

export function invalid(field: string, value: unknown, detail: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${goValue(value)}: ${detail}` };
}

export function notSupported(field: string, value: string, supported: readonly string[]): Cause {
  const values = supported.map(goQuote).join(', ');
  const message = `Unsupported value: ${goQuote(value)}: supported values: ${values}`;
  return { reason: 'FieldValueNotSupported', field, message };
}

export function duplicate(field: string, value: unknown): Cause {
  return { reason: 'FieldValueDuplicate', field, message: `Duplicate value: ${goValue(value)}` };
}

export function forbidden(field: string, detail: string): Cause {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${detail}` };
}

export function tooMany(field: string, count: number, max: number): Cause {
  return { reason: 'FieldValueTooMany', field, message: `Too many: ${count}: must have at most ${max} items` };
}

export function tooLong(field: string, maxBytes: number): Cause {
  return { reason: 'FieldValueTooLong', field, message: `Too long: may not be more than ${maxBytes} bytes` };
}

/** The message of a Status with these causes; `kind` carries its API group unless that is the core group. */
export function invalidMessage(kind: string, name: string, causes: readonly Cause[]): string {
  const texts = [...new Set(causes.map(({ field, message }) => `${field}: ${message}`))];
  return `${kind} ${goQuote(name)} is invalid: ${texts.length === 1 ? texts.join('') : `[${texts.join(', ')}]`}`;
}

/** A string as Go quotes it: printable characters as they are, all others escaped. */
export function goQuote(text: string): string {
  const escaped = text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (character) => {
    const short = shortEscapes.get(character);
    if (short !== undefined) return short;
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${hex(code, 2)}`;
    return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
  });
  return `"${escaped}"`;
}

const shortEscapes = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
]);

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, '0');
}

function goValue(value: unknown): string {
  if (typeof value === 'string') return goQuote(value);
  // Go's JSON is safe to embed in HTML.
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${hex(character.charCodeAt(0), 4)}`);
}
