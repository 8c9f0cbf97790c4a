import { servicePortName } from '../../model/model.ts';
import type { LeftOutEndpoint, ServicePort } from '../../model/model.ts';
import { contains, parseAddress, parseRange } from '../../ruleset/walk-address.ts';
import { outcomeOf } from '../../ruleset/walk-outcome.ts';
import type { Outcome } from '../../ruleset/walk-outcome.ts';
import type { Program, TrailStep } from '../../ruleset/walk-program.ts';
import { walk } from '../../ruleset/walk.ts';
import { UsageError } from '../failure.ts';
import { kindOf, packetFrom, usualClients } from './client.ts';
import type { Client, ClientFacts, ClientKind } from './client.ts';
import { destinationOf, frontendOf } from './frontend.ts';
import type { Destination, Frontend, Surroundings } from './frontend.ts';
import { parseClient, parseTarget } from './target.ts';

/** The rules to walk and what is known of the node they are for. */
export interface ExplainInput extends Surroundings {
  readonly programs: readonly Program[];
  /** The ranges of the pods on this node. */
  readonly podCIDRs: readonly string[];
}

/** What the user asks. */
export interface Question {
  readonly to: string;
  readonly from?: string;
  readonly inInterface?: string;
  /** Where Services are that `to` names without a namespace; `default` when absent. */
  readonly namespace?: string;
}

/** What becomes of one client's packet, and why. */
export interface Answer {
  readonly client: Client;
  readonly destination: Destination;
  readonly frontend?: Frontend;
  readonly outcome: Outcome;
  readonly leftOut: readonly LeftOutEndpoint[];
  /** Sentences that name causes outside the path: what keeps endpoints or this client out. */
  readonly reasons: readonly string[];
}

/**
 * Walks the packet in question; without a `from` one packet for each kind of client.
 *
 * @throws {UsageError} when the question names nothing that is there.
 */
export function answersTo(question: Question, input: ExplainInput): readonly Answer[] {
  const target = parseTarget(question.to, question.namespace);
  const from = question.from === undefined ? undefined : parseClient(question.from);
  const destination = destinationOf(target, input, from?.address.isV6);
  if (from !== undefined && from.address.isV6 !== destination.address.isV6) {
    throw new UsageError(`--from ${question.from ?? ''} and --to ${question.to}: both must be of one IP family`);
  }
  const model = input.models.find((one) => (one.family === 'IPv6') === destination.address.isV6);
  const facts: ClientFacts = { ...input, ...(model === undefined ? {} : { model }) };
  const { inInterface } = question;
  const clients: readonly Client[] =
    from === undefined
      ? usualClients(destination, facts)
      : [
          {
            ...from,
            kind: kindOf(from.address, inInterface, facts),
            ...(inInterface === undefined ? {} : { inInterface }),
          },
        ];
  return clients.map((client) => answerFor(client, destination, facts, input));
}

function answerFor(client: Client, destination: Destination, facts: ClientFacts, input: ExplainInput): Answer {
  const outcome = outcomeOf(walk(input.programs, packetFrom(client, destination, facts), input.host));
  const frontend = frontendOf(destination, input);
  const leftOut = frontend === undefined ? [] : leftOutFor(client.kind, frontend, facts);
  const reasons = reasonsFor({ client, destination, outcome, frontend, facts });
  return { client, destination, outcome, leftOut, reasons, ...(frontend === undefined ? {} : { frontend }) };
}

/** The endpoints this client's traffic could have reached, but for what the model says. */
function leftOutFor(kind: ClientKind, { servicePort, way }: Frontend, facts: ClientFacts): readonly LeftOutEndpoint[] {
  const policy = way === 'cluster IP' ? servicePort.internalPolicy : externalPolicyFor(kind, servicePort, facts);
  const from = policy === 'Local' ? 'local' : 'cluster';
  return servicePort.leftOut.filter((one) => one.from === from);
}

/** Clients inside the cluster are spared an external policy Local, as far as they can be told from others. */
function externalPolicyFor(kind: ClientKind, port: ServicePort, { model }: ClientFacts): 'Cluster' | 'Local' {
  const isSpared = kind === 'node' || (kind === 'pod' && model?.localDetector !== undefined);
  return isSpared ? 'Cluster' : port.externalPolicy;
}

interface Circumstances {
  readonly client: Client;
  readonly destination: Destination;
  readonly outcome: Outcome;
  readonly frontend: Frontend | undefined;
  readonly facts: ClientFacts;
}

function reasonsFor(circumstances: Circumstances): readonly string[] {
  const { outcome, frontend } = circumstances;
  const stops = outcome.ways.flatMap(({ verdict, trail }) =>
    trail !== undefined && (verdict === 'drop' || verdict === 'reject') ? stopOf(trail) : [],
  );
  const about = frontend === undefined ? aboutNoService(circumstances) : aboutService(frontend, circumstances);
  return [...new Set([...stops, ...about])];
}

/** What stopped a packet, when it was neither our rule nor kube-proxy's. */
function stopOf({ rule, chain }: TrailStep): readonly string[] {
  const place = `${chain.table.name} ${chain.name}`;
  if (rule === undefined) return [`no rule of ${place} lets it pass, and the policy of the chain is DROP`];
  const isProxys = chain.name.startsWith('KUBE-') || chain.table.name.endsWith(' kube-proxy');
  return isProxys ? [] : [`a rule in ${place} that is no proxy's stops it: ${rule.line}`];
}

function aboutNoService({ destination, facts, outcome }: Circumstances): readonly string[] {
  if (outcome.verdict === 'endpoint') return [];
  const { address, port, protocol } = destination;
  const ports = facts.model?.servicePorts.filter((one) => one.clusterIP === address.text) ?? [];
  const [first] = ports;
  if (first !== undefined) {
    const served = ports.map((one) => `${one.port}/${one.protocol.toLowerCase()}`).join(', ');
    return [`${address.text} is the cluster IP of ${first.namespace}/${first.name}, which serves ${served} only`];
  }
  if (facts.model === undefined) return [];
  return facts.host.isLocal(address)
    ? [`no Service has the node port ${port}/${protocol}`]
    : [`no Service has the address ${address.text} with port ${port}/${protocol}`];
}

function aboutService(
  { servicePort, way }: Frontend,
  { client, destination, outcome, facts }: Circumstances,
): string[] {
  const reasons: string[] = [];
  const ranges = servicePort.sourceRanges;
  if (way === 'load balancer IP' && ranges !== undefined && !ranges.some((range) => isIn(range, client.address.text))) {
    reasons.push(
      `loadBalancerSourceRanges (${ranges.join(', ') || 'none could be read'}) do not hold ${client.address.text}`,
    );
  }
  const accepting = facts.model?.nodePortAddresses ?? 'all';
  if (way === 'node port' && accepting !== 'all' && !accepting.includes(destination.address.text)) {
    reasons.push(`node ports are accepted on ${accepting.join(', ') || 'no address'} (nodePortAddresses)`);
  }
  if (reasons.length === 0 && (outcome.verdict === 'host' || outcome.verdict === 'pass')) {
    reasons.push(`these rules hold nothing for ${servicePortName(servicePort)}; portwright diff shows what is missing`);
  }
  if (outcome.verdict === 'reject' && !servicePort.hasEndpoints) {
    reasons.push(`${servicePortName(servicePort)} has no endpoint that is ready, or serving while it terminates`);
  }
  const policy = way === 'cluster IP' ? servicePort.internalPolicy : externalPolicyFor(client.kind, servicePort, facts);
  if (policy === 'Local' && servicePort.hasEndpoints && servicePort.localEndpoints.length === 0) {
    const field = way === 'cluster IP' ? 'internalTrafficPolicy' : 'externalTrafficPolicy';
    reasons.push(`${field} is Local and no endpoint is on this node`);
  }
  return reasons;
}

function isIn(cidr: string, text: string): boolean {
  const range = parseRange(cidr);
  const address = parseAddress(text);
  return range !== undefined && address !== undefined && contains(range, address);
}
