import type { Palette } from '../output/palette.ts';
import { counted, wrap } from '../output/words.ts';
import type { Finding } from './finding.ts';

/** Problems first, each with what to do; what is fine follows in a line each. */
export function doctorText(findings: readonly Finding[], palette: Palette): string {
  const problems = findings.filter(({ level }) => level === 'problem');
  const warnings = findings.filter(({ level }) => level === 'warning');
  const good = findings.filter(({ level }) => level === 'ok');
  const width = Math.max(0, ...good.map(({ code }) => code.length));
  const summary = `${counted(problems.length, 'problem')}, ${counted(warnings.length, 'warning')}, ${good.length} fine`;
  const lines = [
    ...problems.flatMap((one) => [...blockLines('PROBLEM', one, palette.removed), '']),
    ...warnings.flatMap((one) => [...blockLines('WARNING', one, palette.heading), '']),
    ...good.flatMap((one) => fineLines(one, width, palette)),
    '',
    palette.heading(summary),
  ];
  return `${lines.join('\n')}\n`;
}

function blockLines(word: string, finding: Finding, paint: (text: string) => string): readonly string[] {
  const { code, what, means, do: advice, show } = finding;
  const [first = '', ...rest] = wrap(what, `${word} ${code}: `, '  ');
  return [
    paint(first),
    ...rest.map(paint),
    ...wrap(means, '  means:  ', '          '),
    ...wrap(advice, '  do:     ', '          '),
    ...(show === undefined ? [] : wrap(show, '  see:    ', '          ')),
  ];
}

function fineLines({ code, what, means }: Finding, width: number, palette: Palette): readonly string[] {
  const [first = '', ...rest] = wrap(what, `ok  ${code.padEnd(width)}  `, ' '.repeat(width + 6));
  const [label, text] = [first.slice(0, 4), first.slice(4)];
  const more = means === 'as it should be' ? [] : wrap(means, ' '.repeat(width + 6), ' '.repeat(width + 6));
  return [`${palette.added(label)}${text}`, ...rest, ...more.map(palette.faint)];
}
