import { servicePortName } from '../../model/model.ts';
import type { LeftOutEndpoint } from '../../model/model.ts';
import type { Outcome, ReachedEndpoint } from '../../ruleset/walk-outcome.ts';
import { addressAndPort } from '../../source/address.ts';
import type { Answer } from './answer.ts';
import { placeOf, policyOf, ruleOf, serviceData } from './data.ts';
import { pathOf } from './path.ts';
import type { PathLine } from './path.ts';

/** Answers for people: what happens to each client side by side, then each one's path. */
export function explainText(answers: readonly Answer[]): string {
  const [first] = answers;
  if (first === undefined) return 'No client to ask for: no Node, no podCIDR and no address of this node is known.\n';
  const lines = [...heading(first), ''];
  if (answers.length > 1) lines.push(...sideBySide(answers), '');
  for (const answer of answers) lines.push(...details(answer), '');
  return lines.join('\n');
}

/** `1/3 (33.3%)`, or only the per cent when no small fraction says it. */
export function probabilityText(probability: number): string {
  if (probability > 1 - 1e-9) return 'always';
  const fraction = fractionText(probability);
  return fraction.endsWith('%') ? fraction : `${fraction} (${percentText(probability)})`;
}

function fractionText(probability: number): string {
  for (let parts = 2; parts <= 10_000; parts++) {
    const count = Math.round(probability * parts);
    // iptables knows probabilities in steps of 2^-31.
    if (count > 0 && Math.abs(probability - count / parts) < 1e-9) return `${count}/${parts}`;
  }
  return percentText(probability);
}

function percentText(probability: number): string {
  return `${Number((probability * 100).toPrecision(3))}%`;
}

function heading(answer: Answer): string[] {
  const { address, port, protocol } = answer.destination;
  const to = `To       ${addressAndPort(address.text, port)}/${protocol}`;
  const { frontend } = answer;
  if (frontend !== undefined) {
    const { servicePort, way } = frontend;
    const policy = way === 'cluster IP' ? 'internalTrafficPolicy' : 'externalTrafficPolicy';
    return [to, `Service  ${servicePortName(servicePort)} by its ${way}, ${policy} ${policyOf(frontend)}`];
  }
  const { service } = serviceData(answer);
  if (service !== undefined)
    return [to, `Service  ${service.namespace}/${service.name}${portSuffix(service.portName)}`];
  // Elements of nftables maps carry no names.
  return [to, answer.outcome.endpoints.length === 0 ? 'Service  none' : 'Service  none that these rules name'];
}

function portSuffix(portName: string | undefined): string {
  return portName === undefined ? '' : `:${portName}`;
}

function sideBySide(answers: readonly Answer[]): string[] {
  const rows = answers.map(({ client, outcome }) => [
    client.kind,
    client.address.text,
    verdictText(outcome),
    outcome.endpoints.map(({ address, port }) => addressAndPort(address, port)).join(' ') || '-',
    [...new Set(outcome.endpoints.map(({ source }) => source))].join(' and ') || '-',
  ]);
  return columns([['FROM', 'SOURCE', 'VERDICT', 'ENDPOINTS', 'SOURCE SEEN'], ...rows]);
}

/** Pads all but the last column to the width of its longest cell. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, at) => Math.max(all[at] ?? 0, cell.length)), []);
  return rows.map((row) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  '),
  );
}

function verdictText(outcome: Outcome): string {
  return `${outcome.verdict}${outcome.uncertain ? ' (uncertain)' : ''}`;
}

/** What a verdict means for whoever sent the packet. */
export const verdictWords = {
  endpoint: 'delivered to an endpoint',
  reject: 'refused, and the client is told',
  drop: 'dropped in silence: the client waits',
  host: 'not for a Service: the node answers for itself',
  pass: 'not for a Service: routed on as any other packet',
} as const;

function details(answer: Answer): string[] {
  const { client, outcome } = answer;
  return [
    `From ${clientText(answer)} (${client.kind}): ${verdictWords[outcome.verdict]}`,
    ...outcome.endpoints.map((endpoint) => `  ${reachedText(endpoint, answer)}`),
    ...outcome.others.map(
      ({ verdict, probability }) => `  but ${probabilityText(probability)}: ${verdictWords[verdict]}`,
    ),
    ...(outcome.affinity ? ['  once chosen, an endpoint stays with this client (session affinity)'] : []),
    ...uncertainties(outcome),
    ...answer.reasons.map((reason) => `  because ${reason}`),
    ...leftOutLines(answer.leftOut),
    '  path:',
    ...pathLines(outcome),
  ];
}

function clientText({ client }: Answer): string {
  const { address, port } = client;
  const from = port === undefined ? address.text : addressAndPort(address.text, port);
  return client.inInterface === undefined ? from : `${from} by ${client.inInterface}`;
}

function reachedText(endpoint: ReachedEndpoint, answer: Answer): string {
  const name = addressAndPort(endpoint.address, endpoint.port);
  const { pod, node } = placeOf(endpoint, answer);
  const where = [pod, node === undefined ? undefined : `on ${node}`].filter((one) => one !== undefined);
  const label = where.length === 0 ? name : `${name} (${where.join(' ')})`;
  return `${label}  ${probabilityText(endpoint.probability)}, ${seenText(endpoint, answer)}`;
}

/** The source address that an endpoint sees, and why. */
export function seenText(endpoint: ReachedEndpoint, { client, frontend }: Answer): string {
  const isAssumed = endpoint.sourceAssumed === true;
  if (endpoint.source === 'kept') {
    const so = isAssumed
      ? 'unless it is a pod of this node: their ranges are not known here'
      : "the client's own address";
    return `sees ${client.address.text}, ${so}`;
  }
  if (endpoint.source === 'any') return 'is this node itself';
  const known = endpoint.sourceAddress ?? "this node's address";
  const seen = isAssumed ? `${known} or another address of this node` : known;
  if (client.address.text === endpoint.address)
    return `sees ${seen}: the client is this very endpoint, answers must not go direct`;
  const why =
    frontend?.way === 'cluster IP'
      ? 'the client is not one of the pods here'
      : 'answers must come back through this node';
  return `sees ${seen} instead of ${client.address.text}: ${why}`;
}

function uncertainties(outcome: Outcome): string[] {
  return outcome.alternatives.map(({ step, outcome: other }) => {
    const isSame = other.verdict === outcome.verdict;
    const otherwise = isSame ? 'the same, as far as can be told' : verdictWords[other.verdict];
    return `  uncertain: "${ruleOf(step)}" in ${step.chain.table.name} could not be understood. If it matches: ${otherwise}`;
  });
}

/** Why an endpoint gets no traffic of a kind. */
export const leftOutWords: Readonly<Record<LeftOutEndpoint['why'], string>> = {
  'not ready': 'its pod is not ready',
  terminating: 'its pod is terminating',
  'other zone': 'its zone hint names another zone (topology)',
  'other node': 'its hint names another node (topology)',
  'not local': 'it is on another node, and the traffic policy is Local',
};

function leftOutLines(leftOut: readonly LeftOutEndpoint[]): string[] {
  return leftOut.map(({ endpoint, why }) => `  left out: ${endpoint.key}, ${leftOutWords[why]}`);
}

/** The path of a packet, one line a rule, indented by jumps. */
export function pathLines(outcome: Outcome): string[] {
  const lines = pathOf(outcome).map(pathLineText);
  return lines.length === 0 ? ['    no rule takes notice of it'] : lines;
}

function pathLineText(line: PathLine): string {
  if (line.kind === 'hook') return `    ${line.hook}`;
  if (line.kind === 'afterwards') return `    afterwards, to ${line.ends.join(' ')}`;
  const chance = line.chance === undefined ? '' : `[${fractionText(line.chance)}] `;
  return `${' '.repeat(6 + 2 * line.depth)}${chance}${line.place}: ${line.meaning}  { ${line.rule} }`;
}
