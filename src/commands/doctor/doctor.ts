import type { CommandEffects, CommandOptions } from '../command.ts';
import { readConfig } from '../input/input.ts';
import { outputFormat, printValue } from '../output/format.ts';
import { palette } from '../output/palette.ts';
import { examineNode } from './examination.ts';
import type { Finding } from './finding.ts';
import { doctorText } from './text.ts';

/** Looks whether this node is fit for Services, and changes nothing. 0 no problem, 1 problems, 2 trouble. */
export async function doctor(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const format = outputFormat(options.output, ['text', 'json', 'yaml']);
  const config = await readConfig(options, effects);
  const findings = await examineNode(config, effects.env);
  if (format === 'text') effects.print(doctorText(findings, palette(effects)));
  else await printValue({ findings: findings.toSorted(byGravity) }, format, effects);
  return findings.some(({ level }) => level === 'problem') ? 1 : 0;
}

const gravity = { problem: 0, warning: 1, ok: 2 } as const;

function byGravity(left: Finding, right: Finding): number {
  return gravity[left.level] - gravity[right.level];
}
