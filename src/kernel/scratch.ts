import { classify, type LoadFailure } from './classify.ts';
import { toolName, type IpFamily, type Variant } from './iptables-tools.ts';
import type { Run } from './run.ts';
import type { RuntimeDirectory, ScriptFile } from './runtime-directory.ts';

/** An empty network namespace for each try: the kernel's own answer, without a rule of this host at stake. */
export interface Scratch {
  /**
   * Loads the scripts one after the other; absent when the kernel takes them all, else why it refuses the first it
   * refuses. To try a change, give what makes the live rules first. `counters` are made before.
   */
  tryLoad(family: IpFamily, scripts: readonly string[], counters?: readonly string[]): Promise<LoadFailure | undefined>;
}

/** What a scratch namespace needs. */
export interface ScratchEffects {
  readonly run: Run;
  readonly directory: RuntimeDirectory;
}

/**
 * For the iptables tools, whose `--test` accepts what the kernel then refuses; nft has `check`. Needs CAP_SYS_ADMIN:
 * without it every try ends in an `environment` failure.
 */
export function inScratchNamespace(effects: ScratchEffects, variant: Variant): Scratch {
  return {
    tryLoad: async (family, scripts, counters = []) => {
      const files: ScriptFile[] = [];
      try {
        for (const script of scripts) files.push(await effects.directory.write('scratch', script));
        return await tryFiles(effects, toolName(family, variant, 'restore'), files, { scripts, counters });
      } finally {
        for (const file of files) await file.remove();
      }
    },
  };
}

async function tryFiles(
  effects: ScratchEffects,
  tool: string,
  files: readonly ScriptFile[],
  given: { readonly scripts: readonly string[]; readonly counters: readonly string[] },
): Promise<LoadFailure | undefined> {
  const steps = [
    ...given.counters.map((_, index) => `nfacct add "$${index + 2}" 2>/dev/null`),
    ...files.map((_, index) => {
      const restore = `"$1" --noflush -w 5 "\${${index + 2 + given.counters.length}}"`;
      return `${restore} || { echo "script ${index} exit code $?" >&2; exit 1; }`;
    }),
  ];
  const names = [tool, ...given.counters, ...files.map((file) => file.path)];
  const result = await effects.run('unshare', ['--net', 'sh', '-c', steps.join('\n'), 'sh', ...names], {
    timeoutMs: 120_000,
    // Nobody else is in there: the host's lock would only make us wait.
    env: { XTABLES_LOCKFILE: `${effects.directory.path}/scratch.lock` },
  });
  if (result.exitCode === 0) return undefined;
  return classify({ tool, ...refusal(result, given.scripts) });
}

interface Refusal {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly stderr: string;
}

/** The tool's own outcome out of the shell's; without one the shell or the namespace failed. */
function refusal(result: Refusal, scripts: readonly string[]): Refusal & { readonly script: string } {
  const own = /^script (\d+) exit code (\d+)\n$/m.exec(result.stderr);
  if (own === null) return { ...result, script: '' };
  const script = scripts[Number(own[1])] ?? '';
  return { exitCode: Number(own[2]), stderr: result.stderr.slice(0, own.index), script };
}

/** The same for a script of nft, which is one transaction. */
export async function tryTables(effects: ScratchEffects, script: string): Promise<LoadFailure | undefined> {
  const file = await effects.directory.write('scratch', script);
  try {
    const result = await effects.run('unshare', ['--net', 'nft', '-f', file.path], { timeoutMs: 120_000 });
    return result.exitCode === 0 ? undefined : classify({ tool: 'nft', ...result, script });
  } finally {
    await file.remove();
  }
}
