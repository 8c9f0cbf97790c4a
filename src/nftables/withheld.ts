import { objectId, objectsOf } from '../ruleset/ruleset.ts';
import type { Ruleset, RulesetObject, RulesetPart, ServiceName } from '../ruleset/ruleset.ts';
import { splitParts } from '../ruleset/split.ts';
import { describePart, originOf } from './parts.ts';
import type { PartOrigin } from './parts.ts';
import { serviceOfLine, serviceOfObject } from './service.ts';

/** The desired ruleset, with what is live of withheld Services in place of what they want. */
export function withoutWithheld(
  live: Ruleset,
  desired: Ruleset,
  isWithheld: (service: ServiceName) => boolean,
): Ruleset {
  const split = splitParts(live, desired);
  const withheld = new Map<RulesetPart, PartOrigin>();
  for (const part of split.desired) {
    const origin = originOf(part);
    if (origin !== undefined && isWithheld(origin.service)) withheld.set(part, origin);
  }
  if (withheld.size === 0) return desired;
  const byKey = new Map(split.live.map((part) => [originOf(part)?.key, part]));
  const listing = split.live.filter((part) => originOf(part) === undefined);
  const kept: RulesetPart[] = [];
  const parts = desired.parts.flatMap((part) => {
    const origin = withheld.get(part);
    if (origin === undefined) return [part];
    const last = byKey.get(origin.key) ?? partOfListing(listing, part, origin);
    kept.push(last);
    return last.length === 0 ? [] : [last];
  });
  return { parts: withClasses(parts, kept, live) };
}

/** What a listing holds for the service port of a desired part. */
function partOfListing(listing: readonly RulesetPart[], wanted: RulesetPart, origin: PartOrigin): RulesetPart {
  const ownerOf = serviceOfLine({ live: [], desired: [wanted] });
  const isOwn = (service: ServiceName | undefined) =>
    service?.namespace === origin.service.namespace && service.name === origin.service.name;
  const part = listing.flat().flatMap((object): RulesetObject[] => {
    if (!object.isOwned || object.kind === 'table') return [];
    if (isOwn(serviceOfObject(object))) return [object];
    if (object.isOrdered) return [];
    const lines = object.lines.filter((line) => isOwn(ownerOf(object, line)));
    return lines.length === 0 ? [] : [{ ...object, definition: [], lines }];
  });
  describePart(part, origin);
  return part;
}

/** The base part, which comes first, with the live class chains that kept elements lead to. */
function withClasses(parts: RulesetPart[], kept: readonly RulesetPart[], live: Ruleset): RulesetPart[] {
  const [base = [], ...rest] = parts;
  const present = new Set(base.map(({ id }) => id));
  const needed = new Set(
    kept
      .flat()
      .flatMap(({ table, lines, isOrdered }) =>
        isOrdered
          ? []
          : lines
              .flatMap((line) => / goto (class-\S+)$/.exec(line)?.[1] ?? [])
              .map((name) => objectId(table, 'chain', name)),
      ),
  );
  const missing = [...needed].filter((id) => !present.has(id)).flatMap((id) => objectsOf(live).get(id) ?? []);
  return missing.length === 0 ? parts : [[...base, ...missing], ...rest];
}
