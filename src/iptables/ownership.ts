import { servicePortChainPrefixes } from './names.ts';

/** Who a chain belongs to, and how its rules compare. */
export interface Ownership {
  /**
   * `us`: the whole chain is ours. `shared`: built into the kernel, or the kubelet's too; it may hold rules of ours.
   * `somebody`: not ours to change.
   */
  readonly owner: 'us' | 'shared' | 'somebody';
  readonly isOrdered: boolean;
  readonly isOurRule: (rule: string) => boolean;
  /** Belongs at the end of an unordered chain. */
  readonly isTail: (rule: string) => boolean;
}

const dispatchChains = new Map([
  ['nat', ['KUBE-SERVICES', 'KUBE-NODEPORTS']],
  ['filter', ['KUBE-SERVICES', 'KUBE-EXTERNAL-SERVICES', 'KUBE-NODEPORTS', 'KUBE-PROXY-FIREWALL']],
]);
const fixedChains = new Map([
  ['nat', ['KUBE-POSTROUTING', 'KUBE-MARK-MASQ']],
  ['filter', ['KUBE-FORWARD']],
]);
const builtInChains = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];

/** The comments of our jumps from kernel chains; a jump with another comment or none is somebody else's. */
const hookComments = [
  'kubernetes service portals',
  'kubernetes postrouting rules',
  'kubernetes externally-visible service portals',
  'kubernetes health check service ports',
  'kubernetes forwarding rules',
  'kubernetes load balancer firewall',
];
const tailComment = 'kubernetes service nodeports; NOTE: this must be the last rule in this chain';
const localhostGuardComment = 'block incoming localnet connections';

/** The kubelet writes to this chain too: it is never flushed or removed. */
export const kubeletSharedChain = 'KUBE-FIREWALL';

const no = () => false;

/** Decides by table and name of a chain; its rules decide where it is shared. */
export function ownership(table: string, chain: string): Ownership {
  if (dispatchChains.get(table)?.includes(chain) === true) {
    return { owner: 'us', isOrdered: false, isOurRule: no, isTail: (rule) => rule.includes(tailComment) };
  }
  if (fixedChains.get(table)?.includes(chain) === true || isServicePortChain(table, chain)) {
    return { owner: 'us', isOrdered: true, isOurRule: no, isTail: no };
  }
  if (table === 'filter' && chain === kubeletSharedChain) {
    return { owner: 'shared', isOrdered: false, isOurRule: (rule) => rule.includes(localhostGuardComment), isTail: no };
  }
  if (builtInChains.includes(chain)) {
    return { owner: 'shared', isOrdered: false, isOurRule: isHook, isTail: no };
  }
  return { owner: 'somebody', isOrdered: true, isOurRule: no, isTail: no };
}

/** Whether a chain exists for one service port. */
export function isServicePortChain(table: string, chain: string): boolean {
  return table === 'nat' && servicePortChainPrefixes.some((prefix) => chain.startsWith(prefix));
}

function isHook(rule: string): boolean {
  return rule.endsWith(' -j KUBE-FIREWALL')
    ? rule.split(' ').length === 4
    : rule.includes(' -j KUBE-') && hookComments.some((comment) => rule.includes(`--comment "${comment}"`));
}
