import { objectId, objectsOf } from '../ruleset/ruleset.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import { onlyAddress, parseAddress } from '../ruleset/walk-address.ts';
import { masqueraded } from '../ruleset/walk-host.ts';
import type {
  BaseChain,
  Branch,
  Change,
  Hook,
  Program,
  Then,
  WalkRule,
  WalkState,
  WalkTable,
} from '../ruleset/walk-program.ts';
import type { Match } from './rule-match.ts';
import type { Target } from './rule-target.ts';
import { meaningOf } from './rule-words.ts';
import { parseRule } from './rule.ts';
import type { Rule } from './rule.ts';
import { fit } from './walk-match.ts';

const hooks = new Map<string, Hook>([
  ['PREROUTING', 'prerouting'],
  ['INPUT', 'input'],
  ['FORWARD', 'forward'],
  ['OUTPUT', 'output'],
  ['POSTROUTING', 'postrouting'],
]);

/** When the kernel asks each table at a hook (NF_IP_PRI_*); nat comes late where it changes sources. */
const priorities = new Map([
  ['raw', -300],
  ['mangle', -150],
  ['nat', -100],
  ['filter', 0],
  ['security', 50],
]);
const sourceNatPriority = 100;

/**
 * Makes the tables of one family executable. Where a ruleset holds no more of a kernel chain than our jumps in it,
 * as a desired one does, those are the chain.
 */
export function iptablesProgram(ruleset: Ruleset, family: 'IPv4' | 'IPv6'): Program {
  const tables = new Map<string, WalkTable>();
  const baseChains: BaseChain[] = [];
  const objects = objectsOf(ruleset);
  for (const object of objects.values()) {
    if (object.kind === 'hooks' && objects.has(objectId(object.table, 'chain', object.name))) continue;
    const table = tables.get(object.table) ?? { name: object.table, chains: new Map() };
    tables.set(object.table, table);
    const rules = [...object.lines, ...object.tail].map((line) => executable(parseRule(line), table));
    const chain = { table, name: object.name, rules };
    table.chains.set(object.name, chain);
    const hook = hooks.get(object.name);
    if (hook === undefined) continue;
    const isNat = object.table === 'nat';
    const isLate = isNat && (hook === 'input' || hook === 'postrouting');
    const priority = isLate ? sourceNatPriority : (priorities.get(object.table) ?? 0);
    const policy = object.definition[0] === 'DROP' ? 'drop' : 'accept';
    baseChains.push({ chain, hook, priority, isNat, policy, isV6: family === 'IPv6' });
  }
  return { baseChains };
}

function executable(rule: Rule, table: WalkTable): WalkRule {
  return {
    line: rule.line,
    ...onlyOf(rule.matches),
    run: (state) => run(rule, table, state),
    meaning: (branch) => meaningOf(rule, branch),
  };
}

function onlyOf(matches: readonly Match[]): Pick<WalkRule, 'only'> {
  for (const match of matches) {
    if (match.kind !== 'destination' || match.not) continue;
    const destination = onlyAddress(match.range);
    if (destination !== undefined) return { only: { destination } };
  }
  for (const match of matches) {
    if (match.kind !== 'destination-port' || match.not) continue;
    const [ports] = match.ports;
    if (ports !== undefined && match.ports.length === 1 && ports.low === ports.high)
      return { only: { port: ports.low } };
  }
  return {};
}

function run(rule: Rule, table: WalkTable, state: WalkState): readonly Branch[] {
  if (rule.target.kind === 'nothing') return [];
  const found = fit(rule.matches, state);
  if (found === undefined) return [];
  const { change, then, unknown: unknownTarget } = effectOf(rule.target, table, state);
  const unknown = found.unknown ?? unknownTarget;
  const sticky = found.isSticky && table.name === 'nat' ? { hasAffinity: true } : {};
  return [
    { share: found.share, change: { ...change, ...sticky }, then, ...(unknown === undefined ? {} : { unknown }) },
  ];
}

interface Effect {
  readonly change?: Change;
  readonly then: Then;
  readonly unknown?: string;
}

const goOn: Then = { kind: 'continue' };
const accept: Then = { kind: 'accept' };

function effectOf(target: Target, table: WalkTable, state: WalkState): Effect {
  switch (target.kind) {
    case 'accept':
    case 'drop':
    case 'reject':
    case 'return':
      return { then: { kind: target.kind } };
    case 'nothing':
      return { then: goOn };
    case 'chain':
      if (!table.chains.has(target.chain)) return { then: { kind: 'drop' }, unknown: `target ${target.chain}` };
      return { then: { kind: target.isGoto ? 'goto' : 'jump', chain: target.chain } };
    case 'unknown':
      return { then: { kind: 'drop' }, unknown: `target ${target.text}` };
    case 'dnat':
    case 'redirect':
    case 'snat':
    case 'masquerade':
      return { change: translation(target, state), then: accept };
    case 'mark':
      return { change: { mark: flipped(state.mark, target.clear, target.flip) }, then: goOn };
    case 'connection-mark':
      return { change: { connectionMark: flipped(state.connectionMark, target.clear, target.flip) }, then: goOn };
    case 'save-mark': {
      const saved = state.mark & target.packetMask;
      return { change: { connectionMark: flipped(state.connectionMark, target.connectionMask, saved) }, then: goOn };
    }
    case 'restore-mark': {
      const restored = state.connectionMark & target.connectionMask;
      return { change: { mark: flipped(state.mark, target.packetMask, restored) }, then: goOn };
    }
  }
}

function flipped(mark: number, clear: number, flip: number): number {
  return ((mark & ~clear) ^ flip) >>> 0;
}

type Translation = Extract<Target, { kind: 'dnat' | 'redirect' | 'snat' | 'masquerade' }>;

function translation(target: Translation, state: WalkState): Change {
  switch (target.kind) {
    case 'dnat':
      return { destination: target.address, port: target.port ?? state.port, isDestinationChanged: true };
    case 'redirect':
      return { ...loopback(state), port: target.port ?? state.port, isDestinationChanged: true };
    case 'snat':
      return { source: target.address, isSourceChanged: true };
    case 'masquerade':
      return masqueraded(state);
  }
}

/** The kernel redirects to the address of the interface; any address of the host stands for it here. */
function loopback(state: WalkState): Change {
  const destination = parseAddress(state.destination.isV6 ? '::1' : '127.0.0.1');
  return destination === undefined ? {} : { destination };
}
