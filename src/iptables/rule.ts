import { readMatches } from './rule-match.ts';
import type { Match } from './rule-match.ts';
import { readTarget } from './rule-target.ts';
import type { Target } from './rule-target.ts';

/** One `-A` line of `iptables-save`, understood as far as possible. */
export interface Rule {
  readonly chain: string;
  readonly line: string;
  readonly matches: readonly Match[];
  readonly target: Target;
  /** The text of its comment matches. */
  readonly comment: string;
}

/** Reads a rule as `iptables-save` prints it. What is not understood becomes an `unknown` match or target. */
export function parseRule(line: string): Rule {
  const words = splitWords(line);
  const chain = words[0] === '-A' ? (words[1] ?? '') : '';
  const jump = words.findIndex((word) => word === '-j' || word === '-g');
  const matchWords = words.slice(chain === '' ? 0 : 2, jump < 0 ? undefined : jump);
  const { matches, comment } = readMatches(matchWords);
  return { chain, line, matches, comment, target: readTarget(jump < 0 ? [] : words.slice(jump)) };
}

/** Splits at blanks; a word in double quotes may hold blanks, and quotes after a backslash. */
function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/"(?:[^"\\]|\\.)*"|\S+/g)) {
    words.push(word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word);
  }
  return words;
}
