import { CommandError, ListError } from './errors.ts';
import type { Files } from './files.ts';
import { load, type LoadEffects } from './load.ts';
import { openNamelessFile } from './nameless-file.ts';
import { newsIn, printedText } from './printed.ts';
import type { Onlooker, Printed } from './printed.ts';
import type { Run } from './run.ts';
import type { RuntimeDirectory } from './runtime-directory.ts';

/** Which kernel interface iptables speaks to. */
export type Variant = 'nft' | 'legacy';

/** IP family, spelled as Kubernetes does. */
export type IpFamily = 'IPv4' | 'IPv6';

/** iptables and ip6tables of one variant. */
export interface IptablesTools {
  /** All tables that exist, as `iptables-save` prints them. Creates none. Throws ListError, CommandError. */
  list(family: IpFamily): Promise<string>;
  /** The same, or nothing when the onlooker finds no news in it. */
  listNews(family: IpFamily, onlooker: Onlooker): Promise<string | undefined>;
  /** Throws LoadError. Tables commit one by one, in the order of the script. */
  load(family: IpFamily, script: string): Promise<void>;
}

/** What `createIptablesTools` needs. */
export interface IptablesEffects extends LoadEffects {
  readonly files: Files;
}

/** Only a writer of the legacy variant takes the lock that `-w` waits for; 5 s, as kubelet and kube-proxy do. */
const waitSeconds = '5';

/** By `iptables-…-save` and `iptables-…-restore` of the variant. */
export function createIptablesTools(effects: IptablesEffects, variant: Variant): IptablesTools {
  return {
    list: (family) => listRules(effects, variant, family),
    listNews: (family, onlooker) => listNews(effects, variant, family, onlooker),
    load: (family, script) => {
      const tool = toolName(family, variant, 'restore');
      return load(effects, { tool, args: ['--noflush', '-w', waitSeconds] }, script);
    },
  };
}

/** `iptables-nft-save`, `ip6tables-legacy`, … */
export function toolName(family: IpFamily, variant: Variant, part?: 'save' | 'restore'): string {
  const base = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}`;
  return part === undefined ? base : `${base}-${part}`;
}

async function listRules(effects: SaveEffects, variant: Variant, family: IpFamily): Promise<string> {
  const tool = toolName(family, variant, 'save');
  const { text, warnings } = await savedRules(effects, variant, family);
  refuseIncompatible(tool, text + warnings);
  refuseCutShort(tool, text);
  return text;
}

async function listNews(
  effects: SaveEffects,
  variant: Variant,
  family: IpFamily,
  onlooker: Onlooker,
): Promise<string | undefined> {
  const tool = toolName(family, variant, 'save');
  const { found: text, warnings } = await save(effects, { variant, family }, (printed) => newsIn(printed, onlooker));
  // What is no news was looked at when it was.
  refuseIncompatible(tool, (text ?? '') + warnings);
  if (text !== undefined) refuseCutShort(tool, text);
  return text;
}

/** What reading rules needs. */
export interface SaveEffects {
  readonly run: Run;
  readonly files: Files;
  /** For much output: through a pipe megabytes come in thousands of pieces, which costs more than to print them. */
  readonly directory?: Pick<RuntimeDirectory, 'path' | 'ensure'>;
}

/** What `iptables-save` prints, also when it leaves tables out that it cannot read. Throws CommandError. */
export async function savedRules(
  effects: SaveEffects,
  variant: Variant,
  family: IpFamily,
): Promise<{ readonly text: string; readonly warnings: string }> {
  const { found, warnings } = await save(effects, { variant, family }, (printed) => printed.text());
  return { text: found, warnings };
}

async function save<T>(
  effects: SaveEffects,
  { variant, family }: { readonly variant: Variant; readonly family: IpFamily },
  read: (printed: Printed) => Promise<T>,
): Promise<{ readonly found: T; readonly warnings: string }> {
  // iptables-legacy-save loads the modules of every table it looks at; hence only when there is one.
  if (variant === 'legacy' && (await legacyTables(effects.files, family)).length === 0)
    return { found: await read(printedText('')), warnings: '' };
  const tool = toolName(family, variant, 'save');
  const output = effects.directory === undefined ? undefined : await openNamelessFile(effects.directory);
  try {
    const options = { timeoutMs: 120_000, ...(output === undefined ? {} : { stdoutFd: output.fd }) };
    const result = await effects.run(tool, [], options);
    if (result.exitCode !== 0 || result.isTruncated) throw new CommandError(result, `reading rules with ${tool}`);
    return { found: await read(output ?? printedText(result.stdout)), warnings: result.stderr };
  } finally {
    await output?.close();
  }
}

/** Tables of the legacy variant that exist in this namespace. */
export async function legacyTables(files: Files, family: IpFamily): Promise<readonly string[]> {
  const path = family === 'IPv4' ? '/proc/net/ip_tables_names' : '/proc/net/ip6_tables_names';
  return ((await files.read(path)) ?? '').split('\n').filter(Boolean);
}

/** The tool exits 0 with a comment where the rules should be; taken literally, all rules would be gone. */
function refuseIncompatible(tool: string, text: string): void {
  const table = /^# Table [`'](\w+)' is incompatible, use 'nft' tool\.$/m.exec(text)?.[1];
  if (table === undefined) return;
  const advice = `look at \`nft list ruleset\` and move what is not iptables' own out of table ${table}`;
  throw new ListError(
    `${tool} cannot read table ${table}: it holds native nft rules. Nothing is written; ${advice}`,
    table,
  );
}

function refuseCutShort(tool: string, text: string): void {
  const tables = text.match(/^\*/gm)?.length ?? 0;
  const commits = text.match(/^COMMIT$/gm)?.length ?? 0;
  if (tables !== commits)
    throw new ListError(`${tool} printed ${tables} tables but ends ${commits}; nothing is concluded from it`);
}
