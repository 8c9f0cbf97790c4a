import { CommandError } from './errors.ts';
import type { IpFamily } from './iptables-tools.ts';
import { load, type LoadEffects } from './load.ts';
import { openNamelessFile } from './nameless-file.ts';
import { newsIn, printedText } from './printed.ts';
import type { Onlooker, Printed } from './printed.ts';
import { isAtLeast, parseVersion, type Version } from './version.ts';

/** nft, confined to our own table. */
export interface NftTool {
  /** The table `kube-proxy` as `nft -s -p list table` prints it; empty when there is none. Throws CommandError. */
  list(family: IpFamily): Promise<string>;
  /** The same, or nothing when the onlooker finds no news in it. */
  listNews(family: IpFamily, onlooker: Onlooker): Promise<string | undefined>;
  /** One transaction. Throws LoadError. */
  load(script: string): Promise<void>;
  /** Throws CommandError when nft is missing, or older than 1.0.1. */
  version(): Promise<Version>;
}

/** Before it nft reads the tables of all others too, and can crash on what newer ones wrote. */
const oldestVersion: Version = [1, 0, 1];

/** By `nft`. */
export function createNftTool(effects: LoadEffects): NftTool {
  return {
    list: (family) => listTable(effects, family, (printed) => printed.text()),
    listNews: (family, onlooker) => listTable(effects, family, (printed) => newsIn(printed, onlooker)),
    load: (script) => load(effects, { tool: 'nft', args: ['-f'] }, script),
    version: () => checkedVersion(effects),
  };
}

// Never `list ruleset`: tables of others may hold what this nft does not know.
async function listTable<T>(
  effects: LoadEffects,
  family: IpFamily,
  read: (printed: Printed) => Promise<T>,
): Promise<T> {
  const kernelFamily = family === 'IPv4' ? 'ip' : 'ip6';
  // nft writes word by word. What Node calls a pipe is a socket, where a write costs twice that to a file.
  const output = await openNamelessFile(effects.directory);
  try {
    const result = await effects.run('nft', [...listTerms, 'list', 'table', kernelFamily, 'kube-proxy'], {
      timeoutMs: 120_000,
      stdoutFd: output.fd,
    });
    if (result.exitCode === 0) return await read(output);
    if (/^Error: No such file or directory/m.test(result.stderr)) return await read(printedText(''));
    throw new CommandError(result, `reading table ${kernelFamily} kube-proxy with nft`);
  } finally {
    await output.close();
  }
}

/**
 * -s leaves out what changes by itself: expiry times, counters. -p gives protocols as numbers: for the name in each
 * element nft would open and read /etc/protocols.
 */
const listTerms = ['-s', '-p'];

async function checkedVersion(effects: Pick<LoadEffects, 'run'>): Promise<Version> {
  const result = await effects.run('nft', ['--version']);
  const version = parseVersion(result.stdout);
  if (result.exitCode !== 0 || version === undefined) throw new CommandError(result, 'version of nft');
  if (isAtLeast(version, oldestVersion)) return version;
  const text = `nft ${version.join('.')} is too old: ${oldestVersion.join('.')} or newer is needed`;
  throw new CommandError({ ...result, stderr: text }, 'version of nft');
}
