import type { Config } from '../config/config.ts';
import { nodeAddresses, podCidrs } from '../config/node.ts';
import type { Node } from '../source/objects.ts';

const addressPatienceMs = 30_000;
const podCidrPatienceMs = 300_000;

/** What the first sync has to wait for, in words. */
export interface NodeWait {
  readonly reason: string;
  /** How long in all, from the first complete lists. */
  readonly patienceMs: number;
  /** The agent cannot do its work when patience ends; otherwise it goes on without. */
  readonly isEssential: boolean;
}

/** What the configuration needs of our Node that the Node does not have (yet). */
export function nodeWait(config: Config, nodeName: string, node: Node | undefined): NodeWait | undefined {
  const what = node === undefined ? `there is no Node ${nodeName}` : undefined;
  if (config.detectLocal.mode === 'NodeCIDR' && podCidrs(node).length === 0) {
    const reason = `${what ?? `Node ${nodeName} has no spec.podCIDRs`}; detectLocalMode NodeCIDR needs them`;
    return { reason, patienceMs: podCidrPatienceMs, isEssential: true };
  }
  if (config.nodePortAddresses[0] === 'primary' && nodeAddresses(node).length === 0) {
    const reason = `${what ?? `Node ${nodeName} has no address in its status`}; nodePortAddresses "primary" means its addresses`;
    return { reason, patienceMs: addressPatienceMs, isEssential: false };
  }
  return undefined;
}
