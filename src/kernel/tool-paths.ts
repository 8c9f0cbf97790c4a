import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where tools are found. */
export interface ToolPaths {
  /** Directories in the order they are looked through. */
  readonly searched: readonly string[];
  /** The absolute path of a tool as of now: packages come, go and move. Absent when no searched directory has it. */
  find(tool: string): string | undefined;
}

/** Where distributions keep network tools; services often run with a PATH that lacks them. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/** Looks for tools on `path` (the value of PATH), then in the system's own directories. */
export function createToolPaths(path: string | undefined): ToolPaths {
  // Relative entries would make the meaning of a command depend on where we were started.
  const given = (path ?? '').split(':').filter((directory) => directory.startsWith('/'));
  const searched = [...new Set([...given, ...systemDirectories])];
  return { searched, find: (tool) => search(tool, searched) };
}

/** What to tell a person when a tool is not there. */
export function missingTool(paths: ToolPaths, tool: string): string {
  const debian = /^ip6?tables/.test(tool) ? 'iptables' : debianPackages.get(tool);
  const hint = debian === undefined ? '' : `; on Debian: apt-get install ${debian}`;
  return `${tool}: not installed; searched ${paths.searched.join(', ')}${hint}`;
}

const debianPackages: ReadonlyMap<string, string> = new Map([
  ['nft', 'nftables'],
  ['conntrack', 'conntrack'],
  ['nfacct', 'nfacct'],
  ['ip', 'iproute2'],
  ['setpriv', 'util-linux'],
  ['flock', 'util-linux'],
  ['unshare', 'util-linux'],
]);

function search(tool: string, directories: readonly string[]): string | undefined {
  if (tool.startsWith('/')) return isExecutable(tool) ? tool : undefined;
  return directories.map((directory) => join(directory, tool)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
