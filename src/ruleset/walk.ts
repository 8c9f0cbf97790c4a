import { candidates } from './walk-index.ts';
import type { BaseChain, Branch, Hook, Host, Packet, Program, WalkChain, WalkRule, WalkState } from './walk-program.ts';

/** Where one of a packet's possible ways ends. */
export interface WalkEnd {
  readonly kind: 'accept' | 'drop' | 'reject';
  readonly state: WalkState;
}

/** How a chain is left: for good, or back to where it was called. */
interface ChainEnd {
  readonly kind: 'accept' | 'drop' | 'reject' | 'return';
  readonly state: WalkState;
}

interface Frame {
  readonly chain: WalkChain;
  readonly depth: number;
}

/** Kernels allow 16 nested jumps in nftables and no loops anywhere; a dump written by hand may hold one. */
const maxDepth = 64;
/** Less than this is rounding, not a way. */
const negligible = 1e-12;

/**
 * Walks the first packet of a connection through everything the kernel would ask about it, and returns all its
 * possible ways. The probabilities of those without `assumed` add up to 1.
 */
export function walk(programs: readonly Program[], packet: Packet, host: Host): readonly WalkEnd[] {
  const start = startOf(packet, host);
  return packet.isFromHost ? walkOutput(programs, start) : walkIncoming(programs, start);
}

function startOf(packet: Packet, host: Host): WalkState {
  const inInterface = packet.isFromHost ? '' : packet.inInterface;
  return {
    packet,
    host,
    hook: packet.isFromHost ? 'output' : 'prerouting',
    source: packet.source,
    ...(packet.sourcePort === undefined ? {} : { sourcePort: packet.sourcePort }),
    destination: packet.destination,
    port: packet.port,
    ...(inInterface === undefined ? {} : { inInterface }),
    mark: 0,
    connectionMark: 0,
    isDestinationChanged: false,
    isSourceChanged: false,
    isSourceKnown: true,
    isSourceAssumed: false,
    hasAffinity: false,
    share: 1,
    trail: undefined,
    assumed: undefined,
  };
}

function walkIncoming(programs: readonly Program[], start: WalkState): readonly WalkEnd[] {
  return after(runHook(programs, 'prerouting', start), (state) =>
    state.host.isLocal(state.destination)
      ? runHook(programs, 'input', state)
      : after(runHook(programs, 'forward', state), (forwarded) => runHook(programs, 'postrouting', forwarded)),
  );
}

function walkOutput(programs: readonly Program[], start: WalkState): readonly WalkEnd[] {
  return after(runHook(programs, 'output', start), (state) => {
    if (!state.host.isLocal(state.destination)) return runHook(programs, 'postrouting', state);
    // It comes back by the loopback interface.
    return after(runHook(programs, 'postrouting', { ...state, outInterface: 'lo' }), (sent) =>
      after(runHook(programs, 'prerouting', { ...sent, inInterface: 'lo' }), (back) =>
        runHook(programs, 'input', back),
      ),
    );
  });
}

function after(ends: readonly WalkEnd[], next: (state: WalkState) => readonly WalkEnd[]): readonly WalkEnd[] {
  return ends.flatMap((end) => (end.kind === 'accept' ? next(end.state) : [end]));
}

function runHook(programs: readonly Program[], hook: Hook, arriving: WalkState): readonly WalkEnd[] {
  let ends: readonly WalkEnd[] = [{ kind: 'accept', state: { ...arriving, hook } }];
  for (const base of chainsAt(programs, hook, arriving.destination.isV6)) {
    ends = after(ends, (state) =>
      base.isNat && isSettled(state) ? [{ kind: 'accept', state }] : runBaseChain(base, state),
    );
  }
  return ends;
}

const merged = new WeakMap<readonly Program[], Map<string, readonly BaseChain[]>>();

/** What the kernel asks at a hook, in its order. */
function chainsAt(programs: readonly Program[], hook: Hook, isV6: boolean): readonly BaseChain[] {
  let known = merged.get(programs);
  if (known === undefined) merged.set(programs, (known = new Map<string, readonly BaseChain[]>()));
  const key = `${hook} ${isV6 ? 6 : 4}`;
  let chains = known.get(key);
  if (chains === undefined) {
    chains = programs
      .flatMap((program) => program.baseChains)
      .filter((base) => base.hook === hook && (base.isV6 === undefined || base.isV6 === isV6))
      .sort((left, right) => left.priority - right.priority);
    known.set(key, chains);
  }
  return chains;
}

/** The first nat chain that rewrites an address at a hook has the last word there. */
function isSettled(state: WalkState): boolean {
  // What a host sends to itself was settled on the way out.
  if (state.packet.isFromHost && state.inInterface === 'lo') return true;
  return state.hook === 'prerouting' || state.hook === 'output' ? state.isDestinationChanged : state.isSourceChanged;
}

function runBaseChain(base: BaseChain, state: WalkState): readonly WalkEnd[] {
  return runRules({ chain: base.chain, depth: 0 }, 0, state).map((end): WalkEnd => {
    if (end.kind !== 'return') return { kind: end.kind, state: end.state };
    if (base.policy === 'accept') return { kind: 'accept', state: end.state };
    const branch: Branch = { share: 1, then: { kind: 'drop' } };
    const { trail: before, hook, share } = end.state;
    const trail = { before, hook, chain: base.chain, depth: 0, share, rule: undefined, branch };
    return { kind: 'drop', state: { ...end.state, trail } };
  });
}

/** Runs the rules of a chain from a position on. */
function runRules(frame: Frame, from: number, arriving: WalkState): readonly ChainEnd[] {
  const ends: ChainEnd[] = [];
  let state = arriving;
  for (const position of candidates(frame.chain, arriving, from)) {
    const rule = frame.chain.rules[position];
    const branches = rule?.run(state) ?? [];
    if (rule === undefined || branches.length === 0) continue;
    const onward: WalkState[] = [];
    for (const end of branches.flatMap((branch) => takeBranch(frame, rule, branch, state))) {
      if (end.kind === 'next') onward.push(end.state);
      else ends.push({ kind: end.kind, state: end.state });
    }
    const rest = passing(frame, rule, branches, state);
    if (rest !== undefined) onward.push(rest);
    // The usual packet has one way onward and stays in this loop; those that part from it go their own.
    const next = onward.pop();
    for (const parted of onward) ends.push(...runRules(frame, position + 1, parted));
    if (next === undefined) return ends;
    state = next;
  }
  ends.push({ kind: 'return', state });
  return ends;
}

type BranchEnd = ChainEnd | { readonly kind: 'next'; readonly state: WalkState };

function takeBranch(frame: Frame, rule: WalkRule, branch: Branch, state: WalkState): readonly BranchEnd[] {
  if (branch.unknown !== undefined && state.assumed !== undefined) return [];
  const share = state.share * branch.share;
  const { trail: before, hook } = state;
  const trail = { before, hook, chain: frame.chain, depth: frame.depth, share, rule, branch };
  const taken: WalkState = {
    ...state,
    ...branch.change,
    share,
    trail,
    assumed: branch.unknown === undefined ? state.assumed : trail,
  };
  const { then } = branch;
  if (then.kind === 'continue') return [{ kind: 'next', state: taken }];
  if (then.kind !== 'jump' && then.kind !== 'goto') return [{ kind: then.kind, state: taken }];
  const target = frame.chain.table.chains.get(then.chain);
  if (target === undefined || frame.depth >= maxDepth) return [{ kind: 'next', state: taken }];
  const ends = runRules({ chain: target, depth: frame.depth + 1 }, 0, taken);
  if (then.kind === 'goto') return ends;
  return ends.map((end): BranchEnd => (end.kind === 'return' ? { kind: 'next', state: end.state } : end));
}

/** The packet as it goes on to the next rule because this one did not, or may not, match. */
function passing(frame: Frame, rule: WalkRule, branches: readonly Branch[], state: WalkState): WalkState | undefined {
  const unknown = branches.find((branch) => branch.unknown !== undefined);
  if (unknown !== undefined) {
    if (state.assumed !== undefined) return state;
    const { hook, trail: before, share } = state;
    return { ...state, trail: { before, hook, chain: frame.chain, depth: frame.depth, share, rule, branch: unknown } };
  }
  const rest = 1 - branches.reduce((sum, branch) => sum + branch.share, 0);
  return rest < negligible ? undefined : { ...state, share: state.share * rest };
}
