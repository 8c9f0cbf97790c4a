import type { Outcome } from '../../ruleset/walk-outcome.ts';
import { addressAndPort } from '../../source/address.ts';
import { pathLines, probabilityText } from '../explain/text.ts';
import { counted } from '../output/words.ts';
import type { PacketDifference } from './compare.ts';

/** What came of walking every relevant packet through two rulesets. */
export interface Verification {
  /** What the rulesets are called. */
  readonly left: 'iptables' | 'desired';
  readonly right: 'nftables' | 'live';
  /** How many were walked. */
  readonly packets: number;
  readonly differences: readonly PacketDifference[];
}

/** As `-o json` gives it; `equal` leaves documented differences aside. */
export function verificationData({ left, right, packets, differences }: Verification) {
  return {
    equal: differences.every(({ intended }) => intended !== undefined),
    packets,
    differences: differences.map((difference) => ({
      family: difference.destination.address.isV6 ? 'IPv6' : 'IPv4',
      from: difference.client.kind,
      source: difference.client.address.text,
      destination: difference.destination.address.text,
      port: difference.destination.port,
      protocol: difference.destination.protocol,
      [left]: difference.left.verdict,
      [right]: difference.right.verdict,
      intended: difference.intended !== undefined,
      ...(difference.intended === undefined ? {} : { reason: difference.intended }),
    })),
  };
}

/** For people: a verdict, the documented differences counted, and the smallest other one with both walks. */
export function verificationText(verification: Verification): string {
  const { left, right, packets, differences } = verification;
  const unintended = differences.filter(({ intended }) => intended === undefined);
  const lines = [
    unintended.length === 0
      ? `${counted(packets, 'packet')}: ${left} and ${right} treat them alike.`
      : `${unintended.length} of ${packets} packets are treated differently by ${left} and ${right}.`,
    ...documented(differences),
  ];
  const smallest = unintended.toSorted((one, other) => steps(one) - steps(other))[0];
  if (smallest !== undefined) lines.push('', ...smallestLines(smallest, verification));
  return `${lines.join('\n')}\n`;
}

function documented(differences: readonly PacketDifference[]): string[] {
  const counts = new Map<string, number>();
  for (const { intended } of differences) {
    if (intended !== undefined) counts.set(intended, (counts.get(intended) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => `  documented difference: ${reason} (${counted(count, 'packet')})`);
}

/** The fewer rules a packet meets, the quicker a person sees where the rulesets part. */
function steps({ left, right }: PacketDifference): number {
  return pathLines(left).length + pathLines(right).length;
}

function smallestLines({ client, destination, left, right }: PacketDifference, names: Verification): string[] {
  const to = `${addressAndPort(destination.address.text, destination.port)}/${destination.protocol}`;
  return [
    `The smallest of them, from ${client.address.text} (${client.kind}) to ${to}:`,
    `  ${names.left}: ${outcomeText(left)}`,
    ...pathLines(left),
    `  ${names.right}: ${outcomeText(right)}`,
    ...pathLines(right),
  ];
}

function outcomeText(outcome: Outcome): string {
  const reached = outcome.endpoints.map(
    ({ address, port, probability, source }) =>
      `${addressAndPort(address, port)} ${probabilityText(probability)} source ${source}`,
  );
  const others = outcome.others.map(({ verdict, probability }) => `${verdict} ${probabilityText(probability)}`);
  return [outcome.verdict, ...reached, ...others].join(', ');
}
