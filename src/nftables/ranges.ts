import { parseRange } from '../ruleset/walk-address.ts';
import type { AddressRange } from '../ruleset/walk-address.ts';

/**
 * The CIDRs without those that lie in another one, each once: the kernel refuses overlaps in a set, and a packet
 * sees no difference. Two CIDRs nest or have nothing in common.
 */
export function outermostRanges(cidrs: readonly string[]): readonly string[] {
  if (cidrs.length < 2) return cidrs;
  const ranges = cidrs.flatMap((cidr) => {
    const range = parseRange(cidr);
    return range === undefined ? [] : [{ cidr, ...range }];
  });
  const widestFirst = ranges.toSorted((left, right) => Number(width(right) - width(left)));
  const kept: (AddressRange & { readonly cidr: string })[] = [];
  for (const range of widestFirst) {
    if (!kept.some((outer) => outer.low <= range.low && range.high <= outer.high)) kept.push(range);
  }
  return kept.map(({ cidr }) => cidr).sort();
}

function width(range: AddressRange): bigint {
  return range.high - range.low;
}
