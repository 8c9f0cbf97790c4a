/** HTML that is safe to put into a page. Only `html` makes it, so nothing gets there without being escaped. */
export interface Markup {
  readonly markup: string;
}

type Piece = string | number | Markup | readonly Markup[];

/** A piece of HTML; strings among the values are text and are escaped, in attributes too (write the quotes). */
export function html(strings: TemplateStringsArray, ...values: readonly Piece[]): Markup {
  // The indentation of the source is no part of the page.
  const texts = strings.map((text) => text.replace(/\n\s*/g, '\n'));
  const markup = texts.map((text, index) => text + piece(values[index] ?? '')).join('');
  return { markup };
}

/** The markup where `isWanted`, else nothing. */
export function when(isWanted: boolean, markup: () => Markup): Markup {
  return isWanted ? markup() : { markup: '' };
}

/** Text that we wrote ourselves and that must not be escaped: the style and the script of the page. */
export function verbatim(text: string): Markup {
  return { markup: text };
}

function piece(value: Piece): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escaped(value);
  return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('');
}

const entities = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

/** Control characters and those that turn the direction of writing would let text pass for something else. */
const misleading = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

function escaped(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => entities.get(character) ?? '')
    .replace(misleading, (character) =>
      character === '\n' ? '\n' : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
    );
}
