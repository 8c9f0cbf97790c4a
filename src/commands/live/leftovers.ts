import type { Config } from '../../config/config.ts';
import type { IPFamily } from '../../source/objects.ts';
import type { Backend } from '../../agent/backend.ts';
import { isForbidden } from '../../kernel/errors.ts';
import type { Variant } from '../../kernel/iptables-tools.ts';
import type { Plan } from '../../ruleset/plan.ts';
import { backendFor } from './kernel.ts';
import type { Kernel, NamedBackend } from './kernel.ts';
import { removedObjects, runRemoval } from './removal.ts';

/** What another mode or variant of the tool holds of ours or kube-proxy's. */
export interface Leftover {
  readonly name: string;
  readonly backend: Backend;
  readonly plan: Plan;
  /** Objects that go, under the name of their backend. */
  readonly objects: readonly string[];
}

/**
 * Everything of ours that the given mode and variant does not use. What cannot be read counts as nothing; where rights
 * are missing to read what is there, `onUnread` is given the words for it.
 */
export async function findLeftovers(
  kernel: Kernel,
  mode: Config['mode'],
  { family, variant }: { readonly family: IPFamily; readonly variant: Variant },
  onUnread: (words: string) => void,
): Promise<readonly Leftover[]> {
  const others = otherBackends(kernel, mode, family, variant);
  const found = await Promise.all(others.map((other) => leftoverOf(other, onUnread)));
  return found.flat();
}

/** Removes leftovers; gives the tool's words for those that did not go. */
export async function removeLeftovers(leftovers: readonly Leftover[]): Promise<string[]> {
  const failures: string[] = [];
  for (const { name, backend, plan } of leftovers) {
    for (const words of await runRemoval(backend, plan)) failures.push(`${name}: ${words}`);
  }
  return failures;
}

function otherBackends(
  kernel: Kernel,
  mode: Config['mode'],
  family: IPFamily,
  variant: Variant,
): readonly NamedBackend[] {
  const other: Variant = variant === 'nft' ? 'legacy' : 'nft';
  const variants = mode === 'nftables' ? [variant, other] : [other];
  const backends = variants.map((one) => backendFor(kernel, 'iptables', { family, variant: one, counters: false }));
  return mode === 'nftables'
    ? backends
    : [...backends, backendFor(kernel, 'nftables', { family, variant, counters: false })];
}

async function leftoverOf({ name, backend }: NamedBackend, onUnread: (words: string) => void): Promise<Leftover[]> {
  const live = await backend.list().catch((error: unknown) => {
    if (isForbidden(error)) onUnread(`${name}: old rules may go on sending packets: ${(error as Error).message}`);
    return undefined;
  });
  if (live === undefined) return [];
  const plan = backend.planCleanup(live);
  if (plan.changes.length === 0) return [];
  return [{ name, backend, plan, objects: removedObjects(plan).map((object) => `${name}: ${object}`) }];
}
