import type { IpFamily, Variant } from '../../kernel/iptables-tools.ts';
import { savedRules } from '../../kernel/iptables-tools.ts';
import type { Sight } from './finding.ts';

/** The rules of one variant of iptables and one family. */
export interface Saved {
  readonly variant: Variant;
  readonly family: IpFamily;
  /** As `iptables-save` prints them; empty when they cannot be seen. */
  readonly text: string;
  /** Why they cannot be seen. */
  readonly error?: string;
}

/** A base chain that is not of iptables and not ours. */
export interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly hook: string;
  readonly priority: number;
  readonly policy: string;
}

/** Who holds which rules on this host. */
export interface Holdings {
  readonly saved: readonly Saved[];
  /** Tables of nftables mode that exist: `ip kube-proxy`, `ip6 kube-proxy`. */
  readonly proxyTables: readonly string[];
  readonly baseChains: readonly BaseChain[];
  /** Why nft tells nothing. */
  readonly nftError?: string;
  /** The signal that ended nft: it can crash on tables that a newer one wrote. */
  readonly nftCrash?: string;
}

const iptablesTables = new Set(['filter', 'nat', 'mangle', 'raw', 'security']);

/** Reads both variants and both families, and the names of nft's chains; writes nothing. */
export async function readHoldings(sight: Pick<Sight, 'run' | 'files'>): Promise<Holdings> {
  const wanted = (['nft', 'legacy'] as const).flatMap((variant) =>
    (['IPv4', 'IPv6'] as const).map((family) => ({ variant, family })),
  );
  const saved = await Promise.all(wanted.map((one) => readSaved(sight, one)));
  return { saved, ...(await readNft(sight)) };
}

async function readSaved(
  sight: Pick<Sight, 'run' | 'files'>,
  { variant, family }: Pick<Saved, 'variant' | 'family'>,
): Promise<Saved> {
  try {
    // No file of ours for the output: we may be somebody who can write none, and only look.
    const { run, files } = sight;
    const { text } = await savedRules({ run, files }, variant, family);
    return { variant, family, text };
  } catch (error) {
    return { variant, family, text: '', error: (error as Error).message };
  }
}

interface ListedChain {
  readonly chain?: {
    readonly family: string;
    readonly table: string;
    readonly name: string;
    readonly type?: string;
    readonly hook?: string;
    readonly prio?: number;
    readonly policy?: string;
  };
}

/** Only chains: sets of others may hold what this nft does not know. */
async function readNft({ run }: Pick<Sight, 'run'>): Promise<Omit<Holdings, 'saved'>> {
  const result = await run('nft', ['-j', 'list', 'chains'], { timeoutMs: 30_000 });
  if (result.exitCode !== 0) {
    const crash = result.isTimedOut ? undefined : result.signal;
    const error = crash === undefined ? result.stderr.trim() : `nft was ended by ${crash}`;
    return { proxyTables: [], baseChains: [], nftError: error, ...(crash === undefined ? {} : { nftCrash: crash }) };
  }
  const chains = chainsOf(result.stdout);
  if (chains === undefined) return { proxyTables: [], baseChains: [], nftError: 'nft printed no JSON' };
  const ours = chains.filter(({ table }) => table === 'kube-proxy').map(({ family, table }) => `${family} ${table}`);
  const baseChains = chains.flatMap(({ family, table, name, type, hook, prio = 0, policy = 'accept' }): BaseChain[] => {
    const isOfIptables = (family === 'ip' || family === 'ip6') && iptablesTables.has(table);
    if (type === undefined || hook === undefined || table === 'kube-proxy' || isOfIptables) return [];
    return [{ family, table, name, type, hook, priority: prio, policy }];
  });
  return { proxyTables: [...new Set(ours)], baseChains };
}

function chainsOf(json: string): readonly NonNullable<ListedChain['chain']>[] | undefined {
  try {
    const { nftables } = JSON.parse(json) as { readonly nftables: readonly ListedChain[] };
    return nftables.flatMap(({ chain }) => (chain === undefined ? [] : [chain]));
  } catch {
    return undefined;
  }
}
