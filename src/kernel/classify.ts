import { signs, type LoadFailureKind, type Sign } from './load-signs.ts';

/** What went wrong, on which line, and what to do about it. */
export interface LoadFailure {
  readonly kind: LoadFailureKind;
  /** Line of the script, from 1; absent when the tool does not tell it, or tells that of the COMMIT. */
  readonly line?: number;
  /** For people: what was seen, what it means, what to do. */
  readonly message: string;
  /** What the tool wrote, as it wrote it. */
  readonly stderr: string;
}

/** How the tool ended, and what it was given. */
export interface LoadOutcome {
  /** The tool's name, for instance `iptables-nft-restore`. */
  readonly tool: string;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly stderr: string;
  readonly script: string;
}

/** `flock` ends with it when the lock of our appliers is not free in time (`-E`); no tool uses it. */
export const ownLockExitCode = 75;

/** Says what a failed load means. Pure; the texts are those of iptables 1.8.9 and nft 1.0.6. */
export function classify(outcome: LoadOutcome): LoadFailure {
  const line = failingLine(outcome);
  const lineText = line === undefined ? undefined : textOfLine(outcome.script, line);
  const sign = signs.find((candidate) => fits(candidate, outcome, lineText)) ?? fallback(outcome);
  const isGuiltyLine =
    sign.kind !== 'environment' && line !== undefined && lineText !== undefined && !['', 'COMMIT'].includes(lineText);
  const where = isGuiltyLine ? ` (line ${line}: ${excerpt(lineText)})` : '';
  return {
    kind: sign.kind,
    ...(isGuiltyLine ? { line } : {}),
    message: `${outcome.tool}${where}: ${firstWords(outcome)}. ${sign.means}. ${sign.todo}.`,
    stderr: outcome.stderr,
  };
}

function fits(sign: Sign, outcome: LoadOutcome, lineText: string | undefined): boolean {
  if (sign.tool !== undefined && !sign.tool.test(outcome.tool)) return false;
  if (sign.exitCodes !== undefined && !sign.exitCodes.includes(outcome.exitCode ?? -1)) return false;
  if (sign.line !== undefined && !(lineText !== undefined && sign.line.test(lineText))) return false;
  return sign.stderr === undefined || sign.stderr.test(outcome.stderr);
}

const killed: Sign = {
  kind: 'killed',
  means: 'The tool was ended before it answered; each table is wholly old or wholly new',
  todo: 'Nothing by hand: it is tried again',
};

const unknown: Sign = {
  kind: 'refused-commit',
  means: 'This message is not known to us',
  todo: 'The live rules are read again; if it comes back, report it with the text of the tool',
};

function fallback(outcome: LoadOutcome): Sign {
  return outcome.exitCode === undefined || outcome.exitCode > 128 ? killed : unknown;
}

/** iptables says `line 9`, `line: 9`; nft says `/path:9:1-5: Error`. */
function failingLine(outcome: LoadOutcome): number | undefined {
  const pattern = outcome.tool === 'nft' ? /:(\d+):\d+-\d+: Error/ : /\bline:? (\d+)/;
  const digits = pattern.exec(outcome.stderr)?.[1];
  return digits === undefined || Number(digits) === 0 ? undefined : Number(digits);
}

function textOfLine(script: string, line: number): string | undefined {
  let start = 0;
  for (let current = 1; current < line; current += 1) {
    const end = script.indexOf('\n', start);
    if (end === -1) return undefined;
    start = end + 1;
  }
  const end = script.indexOf('\n', start);
  return script.slice(start, end === -1 ? undefined : end).trimEnd();
}

function excerpt(line: string): string {
  return line.length <= 160 ? line : `${line.slice(0, 157)}...`;
}

/** The first line that says something; nft-restore starts with its name and an empty one, others with a warning. */
function firstWords(outcome: LoadOutcome): string {
  const lines = outcome.stderr
    .split('\n')
    .map((line) => line.replace(/^ip6?tables\S* v\S+ \([a-z_]+\): ?/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('Try `'));
  const words = lines.find((line) => !line.startsWith('Warning:') && !line.startsWith('#')) ?? lines[0];
  if (words !== undefined) return excerpt(words.replace(/^\/\S+?:(?=\d+:)/, '').replace(/\.$/, ''));
  return outcome.signal === undefined ? `exit code ${String(outcome.exitCode)}` : `ended by ${outcome.signal}`;
}
