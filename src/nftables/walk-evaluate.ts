import { contains, parseRange } from '../ruleset/walk-address.ts';
import type { Address } from '../ruleset/walk-address.ts';
import type { WalkState } from '../ruleset/walk-program.ts';
import type { Elements } from './rule-elements.ts';
import { lookUp } from './rule-elements.ts';
import type { Collection, Expression, Field } from './rule-expression.ts';

/** One of the values an expression may have: one string for each part, in canonical spelling. */
export interface Value {
  readonly share: number;
  readonly parts: readonly string[];
}

/** The sets and maps of a table. A set that rules fill, one entry for each client, is empty for a new client. */
export type Collections = ReadonlyMap<string, Elements>;

const nothing: Elements = { exact: new Map(), ranged: [] };

/** The elements of a set or map; none where the table has no such set. */
export function elementsOf(collection: Collection, collections: Collections): Elements {
  return collection.kind === 'anonymous' ? collection.elements : (collections.get(collection.name) ?? nothing);
}

/**
 * The values an expression has for a packet: several where chance decides, none where the packet has no such
 * property. Throws `NotKnown` when it depends on what is not known of the packet.
 */
export function evaluate(expression: Expression, state: WalkState, collections: Collections): readonly Value[] {
  switch (expression.kind) {
    case 'constant':
      return [{ share: 1, parts: [expression.text] }];
    case 'field': {
      if (!applies(expression.only, state)) return [];
      return [{ share: 1, parts: [fieldOf(expression.field, state)] }];
    }
    case 'random': {
      const { modulus, offset } = expression;
      return Array.from({ length: modulus }, (_, index) => ({ share: 1 / modulus, parts: [String(index + offset)] }));
    }
    case 'concatenation':
      return expression.parts
        .map((part) => evaluate(part, state, collections))
        .reduce((all, next) => all.flatMap((left) => next.map((right) => joined(left, right))));
    case 'binary': {
      const rights = evaluate(expression.right, state, collections);
      return evaluate(expression.left, state, collections).flatMap((left) =>
        rights.map((right) => calculated(expression.operator, left, right)),
      );
    }
    case 'mapped': {
      const elements = elementsOf(expression.map, collections);
      return evaluate(expression.key, state, collections).flatMap(({ share, parts }) => {
        const data = lookUp(elements, parts)?.parts;
        return data === undefined ? [] : [{ share, parts: data }];
      });
    }
  }
}

/** Thrown where an answer depends on something that the packet's description does not say. */
export class NotKnown extends Error {
  override readonly name = 'NotKnown';
}

function applies(only: string | undefined, state: WalkState): boolean {
  if (only === undefined) return true;
  if (only === 'ip' || only === 'ip6') return state.destination.isV6 === (only === 'ip6');
  return state.packet.protocol === only;
}

function joined(left: Value, right: Value): Value {
  return { share: left.share * right.share, parts: [...left.parts, ...right.parts] };
}

function calculated(operator: '&' | '|' | '^', left: Value, right: Value): Value {
  const share = left.share * right.share;
  const [one = '', other = ''] = [left.parts[0], right.parts[0]];
  if (/\D/.test(one + other)) return { share, parts: [one === other ? one : '0'] };
  const [a, b] = [Number(one), Number(other)];
  const result = operator === '&' ? a & b : operator === '|' ? a | b : a ^ b;
  return { share, parts: [String(result >>> 0)] };
}

function fieldOf(field: Field, state: WalkState): string {
  switch (field) {
    case 'source':
      return state.source.text;
    case 'destination':
      return state.destination.text;
    case 'original-destination':
      return state.packet.destination.text;
    case 'source-port':
      return known(state.sourcePort, 'the source port');
    case 'destination-port':
      return String(state.port);
    case 'original-port':
      return String(state.packet.port);
    case 'protocol':
      return state.packet.protocol;
    case 'family':
      return state.destination.isV6 ? 'ipv6' : 'ipv4';
    case 'mark':
      return String(state.mark);
    case 'connection-mark':
      return String(state.connectionMark);
    case 'state':
      return 'new';
    case 'status':
      return state.isDestinationChanged ? 'dnat' : state.isSourceChanged ? 'snat' : '';
    case 'source-type':
      return typeOf(state.source, state);
    case 'destination-type':
      return typeOf(state.destination, state);
    case 'in-interface':
      return known(state.inInterface, 'the incoming interface');
    case 'out-interface':
      return known(state.outInterface, 'the outgoing interface');
    case 'direction':
      return 'original';
    case 'packet-type':
      return 'host';
  }
}

function known(value: string | number | undefined, what: string): string {
  if (value === undefined) throw new NotKnown(`${what} is not known`);
  return String(value);
}

const multicast = ['224.0.0.0/4', 'ff00::/8'].flatMap((range) => parseRange(range) ?? []);

function typeOf(address: Address, state: WalkState): string {
  if (state.host.isLocal(address)) return 'local';
  if (multicast.some((range) => contains(range, address))) return 'multicast';
  return address.text === '255.255.255.255' ? 'broadcast' : 'unicast';
}
