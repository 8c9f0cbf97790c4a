import type { Lab } from '../support/lab.ts';
import { nodeAddresses } from '../support/lab-topology.ts';
import type { Identity, Outcome, Probe, Transport } from '../support/prober-messages.ts';
import { describeFlow, endpointKey } from './flow.ts';
import type { Flow, SeenSource } from './flow.ts';

/** How long a probe of a flow that must vanish waits. */
const dropPatienceMs = 400;
/** How long other probes wait, sending again now and then: a busy machine answers late, a rule that drops never. */
const defaultPatienceMs = 10_000;
/** The chance that a right ruleset is taken for one that misses an endpoint, per flow. */
const missChance = 1e-12;

/** A flow that sockets can send. */
type SocketFlow = Flow & { readonly protocol: Transport };
type EndpointFlow = SocketFlow & { readonly expect: { readonly verdict: 'endpoint' } };

/** What the judge works with. */
export interface Court {
  readonly lab: Lab;
  /** Makes the rules forget which client belongs to which endpoint (session affinity). */
  readonly forgetClients: () => Promise<void>;
  /** How long an answer may take; less than the default only where silence is what is looked for. */
  readonly patienceMs?: number;
}

/** Sends every TCP and UDP flow through the lab and tells, in words, what went wrong; nothing if all is right. */
export async function judgeFlows(court: Court, flows: readonly Flow[]): Promise<readonly string[]> {
  const sendable = flows.filter(isSocketFlow);
  const [staying, free] = partition(sendable, (flow) => flow.expect.verdict === 'endpoint' && flow.expect.hasAffinity);
  const [wrongs, wrongAffinity] = await Promise.all([
    Promise.all(free.map((flow) => judgeFlow(court, flow))),
    judgeAffinity(court, staying.filter(isEndpointFlow)),
  ]);
  return [...wrongs.flat(), ...wrongAffinity];
}

function isSocketFlow(flow: Flow): flow is SocketFlow {
  return flow.protocol !== 'sctp';
}

function isEndpointFlow(flow: SocketFlow): flow is EndpointFlow {
  return flow.expect.verdict === 'endpoint';
}

function partition<T>(items: readonly T[], belongs: (item: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))];
}

async function judgeFlow(court: Court, flow: SocketFlow): Promise<readonly string[]> {
  if (isEndpointFlow(flow)) return judgeChoice(court, flow);
  const outcomes =
    flow.expect.verdict === 'drop'
      ? await court.lab.probe(toProbe(flow, dropPatienceMs), 1)
      : await ask(court, flow, 2);
  const wrong = outcomes.find((outcome) => verdictOf(flow, outcome) !== flow.expect.verdict);
  return wrong === undefined ? [] : [complaint(flow, flow.expect.verdict, wrong)];
}

/** Connects until every endpoint was seen; none other may be. */
async function judgeChoice(court: Court, flow: EndpointFlow): Promise<readonly string[]> {
  const unseen = new Set(flow.expect.endpoints.keys());
  const total = unseen.size;
  for (let budget = connectionsToSeeAll(total); unseen.size > 0 && budget > 0;) {
    // About as many as it takes on average to see those that are left, so that most flows need one or two rounds.
    const count = Math.min(budget, Math.ceil(total * Math.log(unseen.size + 1)));
    budget -= count;
    for (const outcome of await ask(court, flow, count)) {
      const wrong = wrongAnswer(flow, outcome);
      if (wrong !== undefined) return [wrong];
      if (outcome.kind === 'answer') unseen.delete(keyOf(outcome.from));
    }
  }
  return [...unseen].map((key) => `${describeFlow(flow)}: ${key} is never chosen`);
}

/** So many connections that each of `n` even endpoints is seen but for a chance of `missChance`. */
function connectionsToSeeAll(n: number): number {
  return n === 1 ? 1 : Math.ceil(Math.log(missChance / n) / Math.log(1 - 1 / n));
}

/**
 * Connects twice, which must reach the same endpoint, then lets the rules forget the client; again, until every endpoint
 * was seen. One flow of a source at a time: flows of one client to one Service share what the rules remember of it.
 */
async function judgeAffinity(court: Court, flows: readonly EndpointFlow[]): Promise<readonly string[]> {
  const lanes = [...new Set(flows.map(({ source }) => source))].map((source) =>
    flows
      .filter((flow) => flow.source === source)
      .map((flow) => ({ flow, unseen: new Set(flow.expect.endpoints.keys()), budget: budgetFor(flow) })),
  );
  const wrongs: string[] = [];
  while (lanes.some((lane) => lane.length > 0)) {
    await court.forgetClients();
    await Promise.all(
      lanes.map(async (lane) => {
        const turn = lane[0];
        if (turn === undefined) return;
        const { seen, wrong } = await connectTwice(court, turn.flow);
        turn.budget -= 1;
        turn.unseen.delete(seen);
        if (wrong === undefined && turn.unseen.size > 0 && turn.budget > 0) return;
        lane.shift();
        if (wrong !== undefined) wrongs.push(wrong);
        else wrongs.push(...[...turn.unseen].map((key) => `${describeFlow(turn.flow)}: ${key} is never chosen`));
      }),
    );
  }
  return wrongs;
}

function budgetFor(flow: EndpointFlow): number {
  return connectionsToSeeAll(flow.expect.endpoints.size);
}

async function connectTwice(
  court: Court,
  flow: EndpointFlow,
): Promise<{ readonly seen: string; readonly wrong?: string }> {
  const [first] = await ask(court, flow, 1);
  const [second] = await ask(court, flow, 1);
  if (first === undefined || second === undefined) throw new Error('unreachable: each probe has an outcome');
  const wrong = wrongAnswer(flow, first) ?? wrongAnswer(flow, second);
  if (wrong !== undefined) return { seen: '', wrong };
  if (first.kind !== 'answer' || second.kind !== 'answer') throw new Error('unreachable: a right outcome is an answer');
  const [seen, again] = [keyOf(first.from), keyOf(second.from)];
  if (seen !== again) return { seen, wrong: `${describeFlow(flow)}: the client moved from ${seen} to ${again}` };
  return { seen };
}

function ask(
  { lab, patienceMs = defaultPatienceMs }: Court,
  flow: SocketFlow,
  count: number,
): Promise<readonly Outcome[]> {
  return lab.probe(toProbe(flow, patienceMs), count);
}

function toProbe({ protocol, source, destination, port }: SocketFlow, timeoutMs: number): Probe {
  return { protocol, source, destination, port, timeoutMs };
}

function wrongAnswer(flow: EndpointFlow, outcome: Outcome): string | undefined {
  const verdict = verdictOf(flow, outcome);
  if (outcome.kind !== 'answer' || verdict !== 'endpoint') return complaint(flow, 'an endpoint', outcome);
  const key = keyOf(outcome.from);
  const source = flow.expect.endpoints.get(key);
  if (source === undefined) return `${describeFlow(flow)}: reached ${key}, which is not one of its endpoints`;
  if (isRightSource(source, flow, outcome.from)) return undefined;
  return `${describeFlow(flow)}: ${key} saw the source ${outcome.from.client}, expected ${source}`;
}

function isRightSource(expected: SeenSource, flow: Flow, { client }: Identity): boolean {
  switch (expected) {
    case 'kept':
      return client === flow.source;
    case 'snat':
      return client !== flow.source && nodeAddresses.includes(client);
    case 'any':
      return true;
  }
}

function verdictOf(flow: Flow, outcome: Outcome): string {
  switch (outcome.kind) {
    case 'answer':
      if (outcome.from.name === 'gateway') return 'pass';
      return outcome.from.address === flow.destination && outcome.from.port === flow.port ? 'host' : 'endpoint';
    case 'refused':
      return 'reject';
    case 'silence':
      return 'drop';
    case 'error':
      return `error ${outcome.code}`;
  }
}

function complaint(flow: Flow, expected: string, outcome: Outcome): string {
  const where = outcome.kind === 'answer' ? ` from ${outcome.from.name} at ${keyOf(outcome.from)}` : '';
  return `${describeFlow(flow)}: expected ${expected}, got ${verdictOf(flow, outcome)}${where}`;
}

function keyOf({ address, port }: Identity): string {
  return endpointKey(address, port);
}
