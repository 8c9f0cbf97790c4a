/** What is wrong with one field, in the API server's words (a cause of a Status). */
export interface Cause {
  /** `FieldValueInvalid`, `FieldValueRequired`, … */
  readonly reason: string;
  /** Path of the field, for instance `spec.ports[0].nodePort`. */
  readonly field: string;
  readonly message: string;
}

/** Something in the input that cannot be used, and where it stands. */
export interface Problem {
  /** As the user named it; `-` for standard input. */
  readonly file: string;
  /** Number of the document in its file, from 1; absent when the file itself is the problem. */
  readonly document?: number;
  /** Line in the file, from 1. */
  readonly line?: number;
  /** Column, from 1. */
  readonly column?: number;
  /** Kind and namespaced name, for instance `Service default/web`. */
  readonly object?: string;
  /** The first field at fault. */
  readonly field?: string;
  /** The API server's own words where it would refuse the object. */
  readonly message: string;
  /** Every field at fault, when the API server would list them. */
  readonly causes?: readonly Cause[];
  /** More of what was seen, for instance who holds the port that was asked for. */
  readonly detail?: string;
  /** What to do about it. */
  readonly hint?: string;
  /** The source line and a second one with a caret under the column. */
  readonly excerpt?: readonly [string, string];
}

/** Longest line shown to people; a hostile manifest may name, and quote, megabytes. */
const maxShown = 4000;

/** A problem as lines for a terminal: place, object, what is wrong, then what may help. */
export function formatProblem(problem: Problem): string {
  const { line, column, document, object, field } = problem;
  const place = [problem.file, line, line === undefined ? undefined : column].filter((part) => part !== undefined);
  const subject = [document === undefined ? undefined : `document ${document}`, object, field]
    .filter((part) => part !== undefined)
    .join(', ');
  return [
    subject === '' ? `${place.join(':')}:` : `${place.join(':')}: ${subject}:`,
    `  ${problem.message}`,
    ...(problem.excerpt ?? []).map((text) => `  | ${text}`),
    ...(problem.detail === undefined ? [] : [`  ${problem.detail}`]),
    ...(problem.hint === undefined ? [] : [`  hint: ${problem.hint}`]),
  ]
    .map((text) => withoutControls(text.length > maxShown ? `${text.slice(0, maxShown)}…` : text))
    .join('\n');
}

// File names and source lines may hold anything; a terminal must not obey them.
function withoutControls(line: string): string {
  return line.replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
