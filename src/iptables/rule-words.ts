import type { Branch } from '../ruleset/walk-program.ts';
import type { Rule } from './rule.ts';
import type { Target } from './rule-target.ts';

/** What it means that a packet takes this branch of a rule, in words for people. */
export function meaningOf(rule: Rule, branch: Branch): string {
  const comment = isTelling(rule) ? ` (${rule.comment})` : '';
  if (branch.unknown !== undefined) {
    return `may ${mayDo(rule.target)}: it is not known whether "${branch.unknown}" applies${comment}`;
  }
  return `${doing(rule)}${comment}`;
}

/** Of the comments on a proxy's own rules only those that name a Service say more than the words here. */
function isTelling({ comment, line }: Rule): boolean {
  return comment !== '' && (comment.includes('/') || !/ (?:-j |-A )?KUBE-/.test(line));
}

function mayDo(target: Target): string {
  switch (target.kind) {
    case 'accept':
      return 'let it pass here';
    case 'drop':
    case 'reject':
    case 'unknown':
      return 'stop here';
    default:
      return 'apply';
  }
}

function doing({ chain, target }: Rule): string {
  switch (target.kind) {
    case 'accept':
      return 'let it pass this table';
    case 'drop':
      return 'drop it in silence';
    case 'reject':
      return 'refuse it, with an answer to the sender';
    case 'return':
      return chain === 'KUBE-POSTROUTING'
        ? 'not marked to be masqueraded: keep its source address'
        : 'leave this chain';
    case 'nothing':
      return 'no effect on its way';
    case 'chain':
      // The filter table has a chain of the same name for another job.
      return chain === 'INPUT' && target.chain === 'KUBE-NODEPORTS'
        ? 'is it for a health check port?'
        : jumping(target.chain);
    case 'mark':
      if (chain === 'KUBE-POSTROUTING') return 'take the mark off again';
      return chain === 'KUBE-MARK-MASQ' ? 'mark it to be masqueraded' : 'change its mark';
    case 'connection-mark':
    case 'save-mark':
      return 'change the mark of the connection';
    case 'restore-mark':
      return 'give it the mark of its connection';
    case 'dnat':
      return `send it to ${target.address.text}${target.port === undefined ? '' : ` port ${target.port}`}`;
    case 'redirect':
      return 'send it to a process of this node';
    case 'snat':
      return `replace its source address by ${target.address.text}`;
    case 'masquerade':
      return "replace its source address by this node's";
    case 'unknown':
      return `not understood: ${target.text}`;
  }
}

const kinds: readonly (readonly [string, string])[] = [
  ['KUBE-SVC-', 'choose one of the endpoints of the Service'],
  ['KUBE-SVL-', 'choose one of the endpoints on this node'],
  ['KUBE-SEP-', 'this endpoint is chosen'],
  ['KUBE-EXT-', 'it comes by an external address or node port of the Service'],
  ['KUBE-FW-', 'does the Service allow its source address?'],
  ['KUBE-MARK-MASQ', 'its source address must be replaced, so that answers come back through this node'],
  ['KUBE-NODEPORTS', 'it is for this node itself: look among the node ports'],
  ['KUBE-SERVICES', 'look for a Service with its destination'],
  ['KUBE-EXTERNAL-SERVICES', 'look for a Service without endpoints'],
  ['KUBE-PROXY-FIREWALL', 'look for a load balancer address that does not allow its source'],
  ['KUBE-FORWARD', 'rules for packets routed through this node'],
  ['KUBE-POSTROUTING', 'must its source address be replaced?'],
  ['KUBE-FIREWALL', 'guard of the loopback addresses'],
];

function jumping(chain: string): string {
  return kinds.find(([prefix]) => chain.startsWith(prefix))?.[1] ?? `go on in chain ${chain}`;
}
