import type { WalkEnd } from './walk.ts';
import type { TrailStep, WalkRule, WalkState } from './walk-program.ts';

/**
 * What becomes of a packet: delivered to an endpoint that rules chose, rejected with an answer, dropped in silence,
 * or not for a Service: the node answers for itself (`host`), or routes it on (`pass`).
 */
export type WalkVerdict = 'endpoint' | 'reject' | 'drop' | 'host' | 'pass';

/**
 * The source address an endpoint sees; `any` for the node itself as endpoint, where a packet of its own or one marked
 * for masquerading arrives with whatever address it has.
 */
export type SeenSource = 'kept' | 'snat' | 'any';

/** An endpoint that a packet reaches, and how often. */
export interface ReachedEndpoint {
  readonly address: string;
  readonly port: number;
  readonly probability: number;
  readonly source: SeenSource;
  /** The address seen, when known. */
  readonly sourceAddress?: string;
  /** True where an address of the node is seen that would be another one, were the endpoint a pod of this node. */
  readonly sourceAssumed?: true;
}

/** What becomes of a packet. */
export interface Outcome {
  /** `endpoint` when any way reaches one. */
  readonly verdict: WalkVerdict;
  /** Sorted by address and port. */
  readonly endpoints: readonly ReachedEndpoint[];
  /** Ways that end otherwise than the verdict says, with their probability. */
  readonly others: readonly { readonly verdict: WalkVerdict; readonly probability: number }[];
  readonly affinity: boolean;
  /** A rule on the way could not be understood; the verdict is the one without it. */
  readonly uncertain: boolean;
  /** What happens instead, for each such rule, if it matches. */
  readonly alternatives: readonly Alternative[];
  /** Every way, in the order of the rules. */
  readonly ways: readonly Way[];
}

/** One way a packet may go. */
export interface Way {
  readonly verdict: WalkVerdict;
  readonly probability: number;
  /** Where the packet is in the end: the endpoint, when it was sent to one. */
  readonly address: string;
  readonly port: number;
  /** Its last step; the others are before that. Absent when no rule took effect. */
  readonly trail?: TrailStep;
}

/** What would become of it if a rule that is not understood applied. */
export interface Alternative {
  readonly step: TrailStep;
  readonly outcome: Outcome;
}

/** Sums up the ways of a packet. */
export function outcomeOf(ends: readonly WalkEnd[]): Outcome {
  const assumed = new Map<WalkRule | undefined, { step: TrailStep; ends: WalkEnd[] }>();
  for (const end of ends) {
    const step = end.state.assumed;
    if (step === undefined) continue;
    const same = assumed.get(step.rule);
    if (same === undefined) assumed.set(step.rule, { step, ends: [end] });
    else same.ends.push(end);
  }
  const alternatives = [...assumed.values()].map(({ step, ends: its }) => ({ step, outcome: sumUp(its, []) }));
  return sumUp(
    ends.filter(({ state }) => state.assumed === undefined),
    alternatives,
  );
}

const bySeverity: readonly WalkVerdict[] = ['endpoint', 'reject', 'drop', 'host', 'pass'];

function sumUp(ends: readonly WalkEnd[], alternatives: readonly Alternative[]): Outcome {
  const shares = new Map<WalkVerdict, number>();
  for (const end of ends) {
    const verdict = verdictOf(end);
    shares.set(verdict, (shares.get(verdict) ?? 0) + end.state.share);
  }
  const [verdict = 'pass', ...others] = bySeverity.filter((candidate) => shares.has(candidate));
  return {
    verdict,
    endpoints: endpointsOf(ends),
    others: others.map((other) => ({ verdict: other, probability: shares.get(other) ?? 0 })),
    affinity: verdict === 'endpoint' && ends.some(({ state }) => state.hasAffinity),
    uncertain: alternatives.length > 0,
    alternatives,
    ways: ends.map(wayOf),
  };
}

function wayOf(end: WalkEnd): Way {
  const { destination, port, share, trail } = end.state;
  const way = { verdict: verdictOf(end), probability: share, address: destination.text, port };
  return trail === undefined ? way : { ...way, trail };
}

function verdictOf({ kind, state }: WalkEnd): WalkVerdict {
  if (kind !== 'accept') return kind;
  if (state.isDestinationChanged) return 'endpoint';
  return state.host.isLocal(state.destination) ? 'host' : 'pass';
}

function endpointsOf(ends: readonly WalkEnd[]): readonly ReachedEndpoint[] {
  const reached = new Map<string, ReachedEndpoint>();
  for (const end of ends) {
    if (verdictOf(end) !== 'endpoint') continue;
    const { state } = end;
    const source = seenSource(state);
    const key = `${state.destination.text} ${state.port} ${source} ${state.source.text}`;
    const probability = (reached.get(key)?.probability ?? 0) + state.share;
    reached.set(key, {
      address: state.destination.text,
      port: state.port,
      probability,
      source,
      ...(state.isSourceKnown ? { sourceAddress: state.source.text } : {}),
      ...(state.isSourceAssumed && source !== 'any' ? { sourceAssumed: true as const } : {}),
    });
  }
  return [...reached.values()].sort(
    (left, right) => compareText(left.address, right.address) || left.port - right.port,
  );
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function seenSource(state: WalkState): SeenSource {
  if (state.host.isLocal(state.destination)) {
    // Nothing masquerades what stays on the node, even when it is marked to be.
    return state.packet.isFromHost || state.mark !== 0 ? 'any' : 'kept';
  }
  if (!state.isSourceChanged) return 'kept';
  // Masquerading may put on the very address the packet had.
  return state.source.text === state.packet.source.text && state.isSourceKnown ? 'kept' : 'snat';
}
