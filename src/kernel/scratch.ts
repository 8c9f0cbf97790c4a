import { classify, type LoadFailure } from './classify.ts';
import { toolName, type IpFamily, type Variant } from './iptables-tools.ts';
import type { Run } from './run.ts';
import type { RuntimeDirectory, ScriptFile } from './runtime-directory.ts';

/** An empty network namespace for each try: the kernel's own answer, without a rule of this host at stake. */
export interface Scratch {
  /** Absent when the kernel takes the script, else why it does not. `counters` are made before. */
  tryLoad(family: IpFamily, script: string, counters?: readonly string[]): Promise<LoadFailure | undefined>;
}

/** What a scratch namespace needs. */
export interface ScratchEffects {
  readonly run: Run;
  readonly directory: RuntimeDirectory;
}

/**
 * For the iptables tools, whose `--test` accepts what the kernel then refuses. Needs CAP_SYS_ADMIN: without it every
 * try ends in an `environment` failure.
 */
export function inScratchNamespace(effects: ScratchEffects, variant: Variant): Scratch {
  return {
    tryLoad: async (family, script, counters = []) => {
      const file = await effects.directory.write('scratch', script);
      try {
        return await tryFile(effects, toolName(family, variant, 'restore'), file, { script, counters });
      } finally {
        await file.remove();
      }
    },
  };
}

async function tryFile(
  effects: ScratchEffects,
  tool: string,
  file: ScriptFile,
  { script, counters }: { readonly script: string; readonly counters: readonly string[] },
): Promise<LoadFailure | undefined> {
  const result = await effects.run('unshare', ['--net', 'sh', '-c', shellScript, 'sh', tool, file.path, ...counters], {
    timeoutMs: 120_000,
    // Nobody else is in there: the host's lock would only make us wait.
    env: { XTABLES_LOCKFILE: `${effects.directory.path}/scratch.lock` },
  });
  return result.exitCode === 0 ? undefined : classify({ tool, ...refusal(result, script) });
}

/** Tool, file and counters are its arguments. */
const shellScript = [
  'tool=$1 file=$2',
  'shift 2',
  'for counter in "$@"; do nfacct add "$counter" 2>/dev/null; done',
  '"$tool" --noflush -w 5 "$file" || { echo "exit code $?" >&2; exit 1; }',
].join('\n');

interface Refusal {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly stderr: string;
}

/** The tool's own outcome out of the shell's; without one the shell or the namespace failed. */
function refusal(result: Refusal, script: string): Refusal & { readonly script: string } {
  const own = /^exit code (\d+)\n$/m.exec(result.stderr);
  if (own === null) return { ...result, script: '' };
  return { exitCode: Number(own[1]), stderr: result.stderr.slice(0, own.index), script };
}

/** The same question to nft; absent when a kernel without rules takes the script. */
export async function tryTables(effects: ScratchEffects, script: string): Promise<LoadFailure | undefined> {
  const file = await effects.directory.write('scratch', script);
  try {
    const result = await effects.run('unshare', ['--net', 'nft', '-f', file.path], { timeoutMs: 120_000 });
    return result.exitCode === 0 ? undefined : classify({ tool: 'nft', ...result, script });
  } finally {
    await file.remove();
  }
}
