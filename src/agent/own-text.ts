import type { Ruleset, RulesetPart } from '../ruleset/ruleset.ts';

/**
 * The same ruleset, with what is foreign in it copied: lines that were read are slices, each of which keeps the whole
 * listing in memory.
 */
export function withOwnText({ parts }: Ruleset): Ruleset {
  return {
    parts: parts.map((part) => {
      const isForeign = part.length > 0 && part.every(({ isOwned }) => !isOwned);
      return isForeign ? (JSON.parse(JSON.stringify(part)) as RulesetPart) : part;
    }),
  };
}
