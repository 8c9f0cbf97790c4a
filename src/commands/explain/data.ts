import type { Outcome, ReachedEndpoint, WalkVerdict } from '../../ruleset/walk-outcome.ts';
import type { TrailStep } from '../../ruleset/walk-program.ts';
import { stepsTo, treeOf } from '../../ruleset/walk-tree.ts';
import type { TreeNode } from '../../ruleset/walk-tree.ts';
import { addressAndPort } from '../../source/address.ts';
import type { Answer } from './answer.ts';
import type { Frontend } from './frontend.ts';

/** One rule of a path, as programs read it. */
export interface StepData {
  readonly family: 'IPv4' | 'IPv6';
  readonly hook: string;
  readonly table: string;
  readonly chain: string;
  readonly rule: string;
  readonly why: string;
  /** Of getting there; absent when certain. */
  readonly probability?: number;
}

/** An answer as `-o json` gives it. */
export function answerData(answer: Answer) {
  const { outcome, client, destination, frontend } = answer;
  const family = destination.address.isV6 ? ('IPv6' as const) : ('IPv4' as const);
  return {
    from: client.kind,
    source: client.address.text,
    destination: destination.address.text,
    port: destination.port,
    protocol: destination.protocol,
    verdict: outcome.verdict,
    endpoints: outcome.endpoints.map((endpoint) => ({ ...endpoint, ...placeOf(endpoint, answer) })),
    ...(outcome.others.length === 0 ? {} : { others: outcome.others }),
    affinity: outcome.affinity,
    uncertain: outcome.uncertain,
    ...(outcome.uncertain ? { alternatives: alternativesData(outcome) } : {}),
    ...serviceData(answer),
    ...(frontend === undefined ? {} : { way: frontend.way, policy: policyOf(frontend) }),
    left_out: answer.leftOut.map(({ endpoint, why }) => ({ address: endpoint.address, port: endpoint.port, why })),
    reasons: answer.reasons,
    steps: stepsData(treeOf(outcome.ways), family),
  };
}

/** The traffic policy that holds for whoever comes this way. */
export function policyOf({ servicePort, way }: Frontend): 'Cluster' | 'Local' {
  return way === 'cluster IP' ? servicePort.internalPolicy : servicePort.externalPolicy;
}

/** The pod behind an endpoint, `namespace/name`, and the node it is on, where the slices say so. */
export function placeOf(
  { address, port }: ReachedEndpoint,
  { frontend }: Answer,
): { readonly pod?: string; readonly node?: string } {
  const key = addressAndPort(address, port);
  const known = frontend?.servicePort.allEndpoints.find((endpoint) => endpoint.key === key);
  return {
    ...(known?.pod === undefined ? {} : { pod: known.pod }),
    ...(known?.nodeName === undefined ? {} : { node: known.nodeName }),
  };
}

function alternativesData(outcome: Outcome): readonly { rule: string; table: string; verdict: WalkVerdict }[] {
  return outcome.alternatives.map(({ step, outcome: other }) => ({
    table: step.chain.table.name,
    rule: ruleOf(step),
    verdict: other.verdict,
  }));
}

/** The Service, from the model or, with a dump alone, from the names that rules carry. */
export function serviceData(answer: Answer): {
  service?: { namespace: string; name: string; port?: number; portName?: string };
} {
  if (answer.frontend !== undefined) {
    const { namespace, name, port, portName } = answer.frontend.servicePort;
    return { service: { namespace, name, port, ...(portName === '' ? {} : { portName }) } };
  }
  for (const step of answer.outcome.ways.flatMap(({ trail }) => stepsTo(trail))) {
    const named = namedIn(ruleOf(step)) ?? namedIn('chain' in step.branch.then ? step.branch.then.chain : '');
    if (named !== undefined) return { service: named };
  }
  return {};
}

const iptablesComment =
  /--comment "?(?:[a-z ]*(?:masquerade|pod|LOCAL) traffic for )?([a-z0-9.-]+)\/([a-z0-9.-]+?)(?::([a-z0-9-]+))?(?=[" ])/;
const nftablesChain =
  /\b(?:service|local|external|firewall|endpoint)-[A-Z2-7]{8}-([a-z0-9-]+)\/([a-z0-9-]+)\/(?:tcp|udp|sctp)\/([a-z0-9-]*)/;

function namedIn(text: string): { namespace: string; name: string; portName?: string } | undefined {
  const [, namespace, name, portName] = nftablesChain.exec(text) ?? iptablesComment.exec(text) ?? [];
  if (namespace === undefined || name === undefined) return undefined;
  return { namespace, name, ...(portName === undefined || portName === '' ? {} : { portName }) };
}

function stepsData(nodes: readonly TreeNode[], family: 'IPv4' | 'IPv6'): readonly StepData[] {
  return nodes.flatMap(({ step, next }) => [stepData(step, family), ...stepsData(next, family)]);
}

function stepData(step: TrailStep, family: 'IPv4' | 'IPv6'): StepData {
  return {
    family,
    hook: step.hook,
    table: step.chain.table.name,
    chain: step.chain.name,
    rule: ruleOf(step),
    why: whyOf(step),
    ...(step.share === 1 ? {} : { probability: step.share }),
  };
}

/** The rule of a step as listed; the policy of a base chain stands for a rule where none ended the chain. */
export function ruleOf(step: TrailStep): string {
  return step.rule?.line ?? 'policy DROP';
}

/** What a step does, in words. */
export function whyOf(step: TrailStep): string {
  return step.rule?.meaning(step.branch) ?? 'no rule let it pass: the policy of the chain drops it';
}
