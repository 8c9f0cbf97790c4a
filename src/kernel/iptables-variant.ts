import { CommandError, isForbidden, isPassing } from './errors.ts';
import { savedRules, type IpFamily, type SaveEffects, type Variant } from './iptables-tools.ts';
import type { Run } from './run.ts';

/** The variant that this node's rules live in, and how it was found. */
export interface DetectedVariant {
  readonly variant: Variant;
  /** For logs: what decided. */
  readonly reason: string;
  /** Why it may be wrong: rules that are there could not be read, and could have decided otherwise. */
  readonly doubt?: string;
}

/** Kubelet writes them for exactly this question, in mangle. */
const kubeletHint = /^:(KUBE-IPTABLES-HINT|KUBE-KUBELET-CANARY) /m;
/** Chains that only a proxy for Services makes; the kubelet makes others of the same beginning. */
const proxyChain = /^:KUBE-(?:SERVICES|NODEPORTS|SVC-\w+|SEP-\w+) /m;

/**
 * The variant with kubelet's hint; else the one with a proxy's chains; else the one with more rules; else what
 * `iptables` is. Reads both, creates and changes nothing. What cannot be read counts as empty.
 */
export async function detectVariant(effects: SaveEffects): Promise<DetectedVariant> {
  const nft = await savedText(effects, 'nft');
  const legacy = await savedText(effects, 'legacy');
  const detected = await decide(effects, nft.text, legacy.text);
  const unread = nft.unread ?? legacy.unread;
  if (unread !== undefined) return { ...detected, doubt: `rules could not be read at this moment: ${unread}` };
  // To read legacy takes a right more, which a container for nf_tables is not given.
  if (legacy.refusal === undefined || kubeletHint.test(nft.text)) return detected;
  return { ...detected, doubt: `tables of iptables-legacy are there and cannot be read: ${legacy.refusal}` };
}

async function decide(effects: SaveEffects, nft: string, legacy: string): Promise<DetectedVariant> {
  for (const [pattern, reason] of [
    [kubeletHint, 'holds the chain that kubelet makes as a hint'],
    [proxyChain, 'holds chains of a proxy'],
  ] as const) {
    if (pattern.test(nft) !== pattern.test(legacy)) return { variant: pattern.test(nft) ? 'nft' : 'legacy', reason };
  }
  const difference = ruleCount(nft) - ruleCount(legacy);
  if (difference !== 0) return { variant: difference > 0 ? 'nft' : 'legacy', reason: 'holds more rules' };
  return installedVariant(effects.run);
}

/** The rules of both families, and why some that are there could not be read: never, or not at this moment. */
async function savedText(
  effects: SaveEffects,
  variant: Variant,
): Promise<{ readonly text: string; readonly refusal?: string; readonly unread?: string }> {
  const families: readonly IpFamily[] = ['IPv4', 'IPv6'];
  const refusals: string[] = [];
  const unread: string[] = [];
  const texts = families.map(async (family) => {
    try {
      return (await savedRules(effects, variant, family)).text;
    } catch (error) {
      // A node without this variant, or without this family, has no rules in it.
      if (isForbidden(error)) refusals.push((error as Error).message);
      else if (!(error instanceof CommandError) || isPassing(error.result)) unread.push((error as Error).message);
      return '';
    }
  });
  const text = (await Promise.all(texts)).join('\n');
  return {
    text,
    ...(refusals[0] === undefined ? {} : { refusal: refusals[0] }),
    ...(unread[0] === undefined ? {} : { unread: unread[0] }),
  };
}

/** How many chains of a proxy's own a listing of iptables holds. */
export function proxyChainCount(saved: string): number {
  return saved.match(new RegExp(proxyChain, 'gm'))?.length ?? 0;
}

/** How many rules a listing of iptables holds. */
export function ruleCount(saved: string): number {
  return saved.match(/^-A /gm)?.length ?? 0;
}

async function installedVariant(run: Run): Promise<DetectedVariant> {
  const result = await run('iptables', ['--version']);
  if (/\(legacy\)/.test(result.stdout)) return { variant: 'legacy', reason: 'is what `iptables` is' };
  if (result.exitCode === 0) return { variant: 'nft', reason: 'is what `iptables` is' };
  return { variant: 'nft', reason: 'is the default' };
}
