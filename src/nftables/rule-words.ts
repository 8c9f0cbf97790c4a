import type { Branch } from '../ruleset/walk-program.ts';
import type { Rule } from './rule.ts';

/** What it means that a packet takes this branch of a rule, in words for people. */
export function meaningOf(rule: Rule, branch: Branch): string {
  const comment = rule.comment === '' ? '' : ` (${rule.comment})`;
  if (branch.unknown !== undefined) {
    return `may ${mayDo(branch)}: it is not known whether "${branch.unknown}" applies${comment}`;
  }
  return `${doing(rule, branch)}${comment}`;
}

function mayDo({ then }: Branch): string {
  if (then.kind === 'drop' || then.kind === 'reject') return 'stop here';
  return then.kind === 'accept' ? 'let it pass here' : 'apply';
}

function doing({ statements }: Rule, { change = {}, then }: Branch): string {
  const { destination, port } = change;
  if (destination !== undefined) return `send it to ${destination.text} port ${port ?? 'as it is'}`;
  if (change.isSourceChanged === true) {
    const isNamed = change.source !== undefined && statements.some(({ kind }) => kind === 'snat');
    return `replace its source address by ${isNamed ? change.source.text : "this node's"}`;
  }
  switch (then.kind) {
    case 'accept':
      return 'let it pass this chain';
    case 'drop':
      return 'drop it in silence';
    case 'reject':
      return 'refuse it, with an answer to the sender';
    case 'return':
      return 'leave this chain';
    case 'continue':
      return change.hasAffinity === true ? 'remember the client for this endpoint' : 'mark it to be masqueraded';
    case 'jump':
    case 'goto':
      return jumping(then.chain);
  }
}

const kinds: readonly (readonly [string, string])[] = [
  ['service-endpoints-check', 'is it for a Service without endpoints?'],
  ['nodeport-endpoints-check', 'is it for a node port without endpoints?'],
  ['cluster-ips-check', 'is it for a cluster IP that nothing serves?'],
  ['firewall-check', 'is it for a load balancer address with source ranges?'],
  ['firewall-', 'does the Service allow its source address?'],
  ['reject-chain', 'the Service has no endpoints'],
  ['services', 'look for a Service with its destination'],
  ['masquerading', 'must its source address be replaced?'],
  ['service-', 'choose one of the endpoints of the Service'],
  ['local-', 'choose one of the endpoints on this node'],
  ['external-', 'it comes by an external address or node port of the Service'],
  ['endpoint-', 'this endpoint is chosen'],
  ['class-external', 'it comes by an external address or node port of the Service'],
  ['class-firewall', 'does the Service allow its source address?'],
  ['class-local-', 'choose one of the endpoints on this node'],
  ['class-nodeport', 'it comes by a node port of the Service: choose an endpoint'],
  ['class-', 'choose one of the endpoints of the Service'],
];

function jumping(chain: string): string {
  return kinds.find(([prefix]) => chain.startsWith(prefix))?.[1] ?? `go on in chain ${chain}`;
}
