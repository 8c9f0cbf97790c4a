import { contains, parseRange } from '../ruleset/walk-address.ts';
import type { Address } from '../ruleset/walk-address.ts';
import { matchesInterface } from '../ruleset/walk-program.ts';
import type { WalkState } from '../ruleset/walk-program.ts';
import type { Match, PortRange } from './rule-match.ts';

/** How a packet fits a rule: with which probability, and on what condition that cannot be told. */
export interface Fit {
  readonly share: number;
  /** The part of the rule that could not be understood, or depends on what is not known of the packet. */
  readonly unknown?: string;
  /** The rule remembers clients, or asks whether a client is remembered. */
  readonly isSticky: boolean;
}

/** Holds the packet against all matches of a rule; `undefined` when it does not fit. */
export function fit(matches: readonly Match[], state: WalkState): Fit | undefined {
  let share = 1;
  let unknown: string | undefined;
  for (const match of matches) {
    const answer = answerOf(match, state);
    if (answer === undefined) unknown ??= match.kind === 'unknown' ? match.text : `${match.kind} is not known`;
    else share *= match.not ? 1 - answer : answer;
    if (share === 0) return undefined;
  }
  const isSticky = matches.some((match) => match.kind === 'remember');
  return { share, isSticky, ...(unknown === undefined ? {} : { unknown }) };
}

/** The probability that a packet fits a match, `not` aside; `undefined` when that cannot be told. */
function answerOf(match: Match, state: WalkState): number | undefined {
  switch (match.kind) {
    case 'source':
      return yes(contains(match.range, state.source));
    case 'destination':
      return yes(contains(match.range, state.destination));
    case 'original-destination':
      return yes(contains(match.range, state.packet.destination));
    case 'in-interface':
      return maybe(matchesInterface(state, 'in', match.name));
    case 'out-interface':
      return maybe(matchesInterface(state, 'out', match.name));
    case 'protocol':
      return yes(isProtocol(match.protocol, state.packet.protocol));
    case 'source-port':
      return state.sourcePort === undefined ? undefined : yes(isAmong(match.ports, state.sourcePort));
    case 'destination-port':
      return yes(isAmong(match.ports, state.port));
    case 'either-port':
      if (isAmong(match.ports, state.port)) return 1;
      return state.sourcePort === undefined ? undefined : yes(isAmong(match.ports, state.sourcePort));
    case 'mark':
      return yes((state.mark & match.mask) >>> 0 === match.value >>> 0);
    case 'connection-mark':
      return yes((state.connectionMark & match.mask) >>> 0 === match.value >>> 0);
    case 'state':
      return yes(match.states.some((name) => isInState(name, state)));
    case 'source-type':
      return yes(match.types.includes(typeOf(state.source, state)));
    case 'destination-type':
      return yes(match.types.includes(typeOf(state.destination, state)));
    case 'random':
      return match.probability;
    case 'remember':
    case 'always':
      return 1;
    case 'remembered':
      // The walk follows a client that no rule has seen before.
      return 0;
    case 'tcp-flags':
      return yes(state.packet.protocol === 'tcp' && hasFlags(match.mask, match.set));
    case 'unknown':
      return undefined;
  }
}

function yes(fits: boolean): number {
  return fits ? 1 : 0;
}

function maybe(fits: boolean | undefined): number | undefined {
  return fits === undefined ? undefined : yes(fits);
}

const protocolNumbers = new Map([
  ['6', 'tcp'],
  ['17', 'udp'],
  ['132', 'sctp'],
]);

function isProtocol(name: string, protocol: string): boolean {
  return name === 'all' || (protocolNumbers.get(name) ?? name) === protocol;
}

function isAmong(ports: readonly PortRange[], port: number): boolean {
  return ports.some(({ low, high }) => low <= port && port <= high);
}

function isInState(name: string, state: WalkState): boolean {
  if (name === 'NEW') return true;
  if (name === 'DNAT') return state.isDestinationChanged;
  return name === 'SNAT' && state.isSourceChanged;
}

/** The first packet of a TCP connection has SYN set and nothing else. */
function hasFlags(mask: readonly string[], set: readonly string[]): boolean {
  const seen = mask.includes('SYN') || mask.includes('ALL') ? 'SYN' : '';
  return set.filter((flag) => flag !== 'NONE').join() === seen;
}

const multicast = ['224.0.0.0/4', 'ff00::/8'].flatMap((range) => parseRange(range) ?? []);

function typeOf(address: Address, state: WalkState): string {
  if (state.host.isLocal(address)) return 'LOCAL';
  if (multicast.some((range) => contains(range, address))) return 'MULTICAST';
  return address.text === '255.255.255.255' ? 'BROADCAST' : 'UNICAST';
}
