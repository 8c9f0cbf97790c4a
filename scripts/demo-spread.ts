import type { Identity } from '../test/support/prober-messages.ts';
import { spreadOf } from '../test/packets/spread.ts';

/** An endpoint of the Service and the share of connections that the live rules give it. */
export interface Share {
  readonly endpoint: string;
  readonly probability: number;
}

/**
 * The shares by the rules of a `KUBE-SVC-…` chain, as `iptables-save` prints them: each rule takes its probability of
 * what the rules before it left over.
 */
export function sharesOf(listing: string): readonly Share[] {
  let left = 1;
  return [...listing.matchAll(/^-A KUBE-SVC-\S+ .*--comment "\S+ -> (\S+)"(?:.*--probability (\S+))? -j/gm)].map(
    ([, endpoint = '', given]) => {
      const probability = left * Number(given ?? 1);
      left -= probability;
      return { endpoint, probability };
    },
  );
}

const barWidth = 40;

/** A table of who answered how often, beside what was to be expected. */
export function spreadTable(shares: readonly Share[], answers: readonly Identity[]): string {
  const nodeOf = (endpoint: string) => (endpoint.startsWith('10.244.1.') ? 'node-1' : 'node-2');
  const counts = shares.map(
    ({ endpoint }) => answers.filter(({ address, port }) => `${address}:${port}` === endpoint).length,
  );
  const rows = shares.map(({ endpoint, probability }, index) => {
    const count = counts[index] ?? 0;
    const share = count / answers.length;
    return (
      endpoint.padEnd(18) +
      nodeOf(endpoint).padEnd(8) +
      String(count).padStart(11) +
      percent(share).padStart(10) +
      percent(probability).padStart(10) +
      `  ${'█'.repeat(Math.round(share * barWidth))}`
    );
  });
  const { chiSquare, chance } = spreadOf(counts);
  const verdict = `chi-square ${chiSquare.toFixed(2)}: an even choice is at least so uneven in ${percent(chance)} of all runs`;
  return [heading, ...rows, verdict].map((row) => `    ${row}\n`).join('');
}

const heading =
  'endpoint'.padEnd(18) + 'on'.padEnd(8) + 'connections'.padStart(11) + 'seen'.padStart(10) + 'by rules'.padStart(10);

function percent(share: number): string {
  return `${(Math.min(share, 1) * 100).toFixed(1)} %`;
}
