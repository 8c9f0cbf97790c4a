import { parseAddress } from '../ruleset/walk-address.ts';
import { masqueraded } from '../ruleset/walk-host.ts';
import { matchesInterface } from '../ruleset/walk-program.ts';
import type { Branch, Change, Then, WalkState } from '../ruleset/walk-program.ts';
import { lookUp } from './rule-elements.ts';
import type { Comparison, Rule, Statement } from './rule.ts';
import { NotKnown, elementsOf, evaluate } from './walk-evaluate.ts';
import type { Collections, Value } from './walk-evaluate.ts';

/** A packet between two statements of a rule. */
interface Progress {
  readonly state: WalkState;
  readonly change: Change;
  readonly share: number;
  readonly unknown?: string;
}

/** What a rule may do to a packet. */
export function runRule(rule: Rule, state: WalkState, collections: Collections): readonly Branch[] {
  return runFrom(rule.statements, 0, { state, change: {}, share: 1 }, collections);
}

function runFrom(
  statements: readonly Statement[],
  at: number,
  progress: Progress,
  collections: Collections,
): readonly Branch[] {
  const statement = statements[at];
  if (statement === undefined) return finished(progress);
  const next = (onward: Progress): readonly Branch[] => runFrom(statements, at + 1, onward, collections);
  try {
    return step(statement, progress, collections, next);
  } catch (error) {
    if (!(error instanceof NotKnown)) throw error;
    return next({ ...progress, unknown: progress.unknown ?? error.message });
  }
}

function step(
  statement: Statement,
  progress: Progress,
  collections: Collections,
  next: (onward: Progress) => readonly Branch[],
): readonly Branch[] {
  const { state } = progress;
  switch (statement.kind) {
    case 'in':
      return divided(progress, shareIn(statement, state, collections), next);
    case 'compare':
      return divided(progress, shareOfComparison(statement, state, collections), next);
    case 'verdict':
      return [ended(progress, statement.then)];
    case 'verdict-map':
      return lookedUp(statement, progress, collections, next);
    case 'mark':
    case 'connection-mark': {
      const field = statement.kind === 'mark' ? 'mark' : 'connectionMark';
      const values = evaluate(statement.value, state, collections);
      return values.flatMap((value) => next(changed(progress, { [field]: Number(value.parts[0]) }, value.share)));
    }
    case 'remember':
      return next(changed(progress, { hasAffinity: true }, 1));
    case 'dnat':
    case 'snat': {
      const values = evaluate(statement.to, state, collections);
      const branches = values.map((value) => translated(statement, value, progress));
      return [...branches, ...stopped(progress, values)];
    }
    case 'masquerade':
      return [ended(changed(progress, masqueraded(state), 1), accept)];
    case 'redirect': {
      const destination = parseAddress(state.destination.isV6 ? '::1' : '127.0.0.1') ?? state.destination;
      const change = { destination, port: statement.port ?? state.port, isDestinationChanged: true };
      return [ended(changed(progress, change, 1), accept)];
    }
    case 'unknown':
      return next({ ...progress, unknown: progress.unknown ?? statement.text });
  }
}

const accept: Then = { kind: 'accept' };

/** Statements that take a packet away or send it elsewhere, for all that can be told. */
const weighty = /^(?:dnat|dup|fwd|notrack|queue|snat|synproxy|tproxy|xt target)\b/;

/** A rule that ends without a verdict has done what it did to the packet, and lets it go on. */
function finished(progress: Progress): readonly Branch[] {
  if (progress.unknown !== undefined && weighty.test(progress.unknown)) return [ended(progress, { kind: 'drop' })];
  return Object.keys(progress.change).length === 0 ? [] : [ended(progress, { kind: 'continue' })];
}

function ended({ share, change, unknown }: Progress, then: Then): Branch {
  return { share, change, then, ...(unknown === undefined ? {} : { unknown }) };
}

function changed(progress: Progress, change: Change, share: number): Progress {
  return {
    ...progress,
    state: { ...progress.state, ...change },
    change: { ...progress.change, ...change },
    share: progress.share * share,
  };
}

/** Goes on with the share that matches; the rest leaves the rule with what earlier statements did to it. */
function divided(progress: Progress, share: number, next: (onward: Progress) => readonly Branch[]): readonly Branch[] {
  const onward = share === 0 ? [] : next({ ...progress, share: progress.share * share });
  return share === 1 ? onward : [...onward, ...finished({ ...progress, share: progress.share * (1 - share) })];
}

/** What is missing to 1 among values left the rule where no element was found. */
function stopped(progress: Progress, values: readonly Value[]): readonly Branch[] {
  const rest = 1 - values.reduce((sum, value) => sum + value.share, 0);
  return rest < 1e-12 ? [] : finished({ ...progress, share: progress.share * rest });
}

function lookedUp(
  { key, map }: Extract<Statement, { kind: 'verdict-map' }>,
  progress: Progress,
  collections: Collections,
  next: (onward: Progress) => readonly Branch[],
): readonly Branch[] {
  const elements = elementsOf(map, collections);
  const found: Value[] = [];
  const branches = evaluate(key, progress.state, collections).flatMap((value): readonly Branch[] => {
    const verdict = lookUp(elements, value.parts)?.verdict;
    if (verdict === undefined) return [];
    found.push(value);
    const onward = { ...progress, share: progress.share * value.share };
    return verdict.kind === 'continue' ? next(onward) : [ended(onward, verdict)];
  });
  return [...branches, ...stopped(progress, found)];
}

function shareIn(
  { left, not, isExact, collection }: Extract<Statement, { kind: 'in' }>,
  state: WalkState,
  collections: Collections,
): number {
  const elements = elementsOf(collection, collections);
  if (left.kind === 'field' && (left.field === 'in-interface' || left.field === 'out-interface')) {
    const fits = fitsInterface([...elements.exact.keys()], left.field === 'in-interface' ? 'in' : 'out', state);
    return fits === not ? 0 : 1;
  }
  // A connection always has more status flags set than those that can be asked for one by one.
  if (left.kind === 'field' && left.field === 'status' && isExact) return not ? 1 : 0;
  const values = evaluate(left, state, collections);
  const matching = values.filter((value) => (lookUp(elements, value.parts) !== undefined) !== not);
  return matching.reduce((sum, value) => sum + value.share, 0);
}

function fitsInterface(patterns: readonly string[], direction: 'in' | 'out', state: WalkState): boolean {
  const answers = patterns.map((pattern) => matchesInterface(state, direction, pattern));
  if (answers.includes(true)) return true;
  if (answers.includes(undefined)) throw new NotKnown(`the ${direction}going interface is not known`);
  return false;
}

function shareOfComparison(
  { left, operator, right }: Extract<Statement, { kind: 'compare' }>,
  state: WalkState,
  collections: Collections,
): number {
  const limit = Number(evaluate(right, state, collections)[0]?.parts[0]);
  const matching = evaluate(left, state, collections).filter((value) =>
    compares(Number(value.parts[0]), operator, limit),
  );
  return matching.reduce((sum, value) => sum + value.share, 0);
}

function compares(left: number, operator: Comparison, right: number): boolean {
  switch (operator) {
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '>':
      return left > right;
    case '<=':
      return left <= right;
    case '>=':
      return left >= right;
  }
}

function translated(
  statement: Extract<Statement, { kind: 'dnat' | 'snat' }>,
  { parts, share }: Value,
  progress: Progress,
): Branch {
  const address = parseAddress(parts[0] ?? '');
  if (address === undefined) {
    return ended({ ...progress, unknown: `${statement.kind} to ${parts.join(' . ')}` }, { kind: 'drop' });
  }
  const port = parts[1] === undefined ? (statement.port ?? progress.state.port) : Number(parts[1]);
  const change: Change =
    statement.kind === 'dnat'
      ? { destination: address, port, isDestinationChanged: true }
      : { source: address, isSourceChanged: true };
  return ended(changed(progress, change, share), accept);
}
