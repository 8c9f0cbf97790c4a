import { toolName, type IpFamily, type Variant } from './iptables-tools.ts';
import type { Run } from './run.ts';
import type { RuntimeDirectory, ScriptFile } from './runtime-directory.ts';

/** A feature to try: a script for `iptables-restore` or `nft`, and the lines that must stand when it is read back. */
export interface Probe {
  readonly name: string;
  readonly script: string;
  /** Compared without regard to white space around them. */
  readonly lines: readonly string[];
}

/** What became of a probe. */
export type ProbeOutcome =
  | { readonly name: string; readonly kind: 'kept' }
  /** The tool or the kernel did not take it, in their words. */
  | { readonly name: string; readonly kind: 'refused'; readonly words: string }
  /** It was taken without an error, but this line does not stand. */
  | { readonly name: string; readonly kind: 'changed'; readonly line: string };

/** What trying needs. */
export interface ProbeEffects {
  readonly run: Run;
  readonly directory: RuntimeDirectory;
}

/** Which tool loads and which lists. */
export interface ProbeTool {
  readonly load: readonly string[];
  readonly list: readonly string[];
}

/** Tries features of iptables; all tables are listed. */
export function iptablesProbeTool(variant: Variant, family: IpFamily): ProbeTool {
  return {
    load: [toolName(family, variant, 'restore'), '--noflush', '-w', '5'],
    list: [toolName(family, variant, 'save')],
  };
}

/** In the scratch namespace there is nothing but the probes, so all of it may be listed. */
export const nftProbeTool: ProbeTool = { load: ['nft', '-f'], list: ['nft', '-s', 'list', 'ruleset'] };

/**
 * Loads each probe in one empty network namespace, lists what is there then, and compares. No rule of this host is
 * touched. Without root a user namespace is made too, where the kernel allows that. Throws Error when there is no
 * namespace to be had, or no such tool.
 */
export async function tryProbes(
  effects: ProbeEffects,
  tool: ProbeTool,
  probes: readonly Probe[],
): Promise<readonly ProbeOutcome[]> {
  const files: ScriptFile[] = [];
  try {
    for (const { script } of probes) files.push(await effects.directory.write('probe', script));
    const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
    const paths = files.map(({ path }) => path);
    const args = [...asRoot, '--net', 'sh', '-c', shellScript(tool), 'sh', ...paths];
    const result = await effects.run('unshare', args, {
      timeoutMs: 60_000,
      // Nobody else is in there: the host's lock would only make us wait.
      env: { XTABLES_LOCKFILE: `${effects.directory.path}/scratch.lock` },
    });
    if (result.exitCode !== 0) throw new Error(result.stderr.trim() || 'no network namespace could be made');
    return outcomes(probes, result.stdout);
  } finally {
    for (const file of files) await file.remove();
  }
}

/** Prints `refused INDEX WORDS` for each script that was not taken, then `listing` and the listing. */
function shellScript({ load, list }: ProbeTool): string {
  const tools = [...new Set([load[0], list[0]])].join(' ');
  return [
    `for tool in ${tools}; do command -v $tool >/dev/null || { echo "$tool: not installed" >&2; exit 127; }; done`,
    'index=0',
    'nfacct add portwright_probe >/dev/null 2>&1',
    'for file in "$@"; do',
    `  words=$(${load.join(' ')} "$file" 2>&1) || echo "refused $index $(echo $words)"`,
    '  index=$((index + 1))',
    'done',
    'echo listing',
    `${list.join(' ')} 2>/dev/null || true`,
  ].join('\n');
}

function outcomes(probes: readonly Probe[], output: string): readonly ProbeOutcome[] {
  const lines = output.split('\n').map((line) => line.trim());
  const start = lines.indexOf('listing');
  const refused = new Map<number, string>();
  for (const line of lines.slice(0, start)) {
    const [, index, words = ''] = /^refused (\d+) ?(.*)$/.exec(line) ?? [];
    if (index !== undefined) refused.set(Number(index), words);
  }
  const listed = new Set(lines.slice(start + 1));
  return probes.map(({ name, lines: wanted }, index) => {
    const words = refused.get(index);
    if (words !== undefined) return { name, kind: 'refused', words };
    const lost = wanted.find((line) => !listed.has(line.trim()));
    return lost === undefined ? { name, kind: 'kept' } : { name, kind: 'changed', line: lost };
  });
}
