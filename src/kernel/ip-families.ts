import { classify } from './classify.ts';
import { isPassing } from './errors.ts';
import { legacyTables, toolName, type IpFamily, type Variant } from './iptables-tools.ts';
import type { Files } from './files.ts';
import type { Run } from './run.ts';

/** Whether this host can have rules of a family. */
export interface FamilySupport {
  readonly family: IpFamily;
  readonly isSupported: boolean;
  /** Why not; absent when supported. */
  readonly reason?: string;
}

/** What the probe reads with. */
export interface FamilyEffects {
  readonly run: Run;
  readonly files: Files;
}

/** Asks kernel and iptables; a table that holds native nft content counts as supported, reading it then says more. */
export async function iptablesFamily(
  effects: FamilyEffects,
  variant: Variant,
  family: IpFamily,
): Promise<FamilySupport> {
  const refusal = (await kernelRefusal(effects.files, family)) ?? (await toolRefusal(effects, variant, family));
  return { family, isSupported: refusal === undefined, ...(refusal === undefined ? {} : { reason: refusal }) };
}

/** Asks the kernel alone: nft has every family that the kernel has. */
export async function nftFamily(files: Files, family: IpFamily): Promise<FamilySupport> {
  const refusal = await kernelRefusal(files, family);
  return { family, isSupported: refusal === undefined, ...(refusal === undefined ? {} : { reason: refusal }) };
}

async function kernelRefusal(files: Files, family: IpFamily): Promise<string | undefined> {
  if (family === 'IPv4') return undefined;
  if ((await files.read('/proc/net/if_inet6')) === undefined)
    return 'the kernel has no IPv6 (/proc/net/if_inet6 is missing)';
  const disabled = await files.read('/proc/sys/net/ipv6/conf/all/disable_ipv6');
  return disabled?.includes('1') === true ? 'IPv6 is switched off (net.ipv6.conf.all.disable_ipv6 is 1)' : undefined;
}

async function toolRefusal(effects: FamilyEffects, variant: Variant, family: IpFamily): Promise<string | undefined> {
  // The legacy tool would create the table by looking at it.
  if (variant === 'legacy' && (await legacyTables(effects.files, family)).includes('nat')) return undefined;
  const tool = toolName(family, variant);
  const result = await effects.run(tool, ['-w', '5', '-S', 'POSTROUTING', '-t', 'nat']);
  if (result.exitCode === 0 || /is incompatible, use 'nft' tool/.test(result.stderr)) return undefined;
  if (result.isMissing) return result.stderr;
  const { kind, message } = classify({ tool, ...result, script: '' });
  // Whoever asks goes without the family for as long as it lives: not because of what was so in that moment only.
  if (kind === 'lock-held' || isPassing(result)) return undefined;
  return kind === 'environment' ? message : `${tool} cannot read table nat: ${result.stderr.trim()}`;
}
