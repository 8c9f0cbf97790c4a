import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import type { RuntimeDirectory } from './runtime-directory.ts';
import type { ToolPaths } from './tool-paths.ts';

/**
 * Makes our commits recognisable. The kernel tells listeners the name of the process that committed, and that is the
 * name it was started by; so we start appliers through links of our own. Process numbers would not do: the kernel
 * tells those of the initial PID namespace, which a container does not know.
 */
export interface Committer {
  /** The `processName` of our commits: `portwright-` and four hexadecimal digits, other ones for each process of ours. */
  readonly processName: string;
  /** What to start for `tool`, and the arguments that come first. */
  command(tool: string): Promise<{ readonly tool: string; readonly args: readonly string[] }>;
}

/** A committer with a name of its own. */
export function createCommitter(directory: RuntimeDirectory, paths: ToolPaths): Committer {
  // 15 bytes, all the kernel keeps of a name.
  const processName = `portwright-${randomBytes(2).toString('hex')}`;
  return {
    processName,
    command: async (tool) => {
      const path = paths.find(tool);
      if (path === undefined) return { tool, args: [] };
      const target = await realpath(path);
      // One program for all iptables tools, which takes the name of the one to be as its first argument.
      if (basename(target) === 'xtables-nft-multi') {
        return { tool: await directory.link('as-xtables', processName, target), args: [tool] };
      }
      if (tool === 'nft') return { tool: await directory.link('as-nft', processName, path), args: [] };
      // legacy tells nobody of its commits.
      return { tool, args: [] };
    },
  };
}
