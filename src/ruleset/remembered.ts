import type { Ruleset, RulesetPart } from './ruleset.ts';

/** The few texts around service ports that one process sees: families, counters or class chains, node port addresses. */
const maxTexts = 16;

/** Reads a text as one part of a ruleset; the same text gives the same part, so that it is known to be no change. */
export function rememberParts(parse: (text: string) => Ruleset): (text: string) => RulesetPart {
  const parts = new Map<string, RulesetPart>();
  return (text) => {
    const known = parts.get(text);
    if (known !== undefined) return known;
    if (parts.size >= maxTexts) parts.clear();
    const part = parse(text).parts.flat();
    parts.set(text, part);
    return part;
  };
}
