import { scriptText } from '../../ruleset/plan.ts';
import type { Script } from '../../ruleset/plan.ts';

/** A script as dry runs print it: under a comment line that names the command which reads it. */
export function printedScript(script: Script): string {
  const command = script.tool === 'nft' ? 'nft -f' : `${script.tool} --noflush -w 5`;
  return `# ${command}\n${scriptText(script)}`;
}
