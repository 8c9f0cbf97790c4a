/**
 * The name that was probably meant: one that differs only in case, or by few letters. Undefined when none is near.
 */
export function nearName(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  const allowed = Math.max(1, Math.floor(wanted.length / 4));
  const [best] = known
    .map((candidate) => ({ candidate, distance: distance(wanted, candidate.toLowerCase()) }))
    .filter((near) => near.distance <= allowed)
    .toSorted((a, b) => a.distance - b.distance);
  return best?.candidate;
}

/** How many letters must be added, removed or exchanged to make one text of the other. */
function distance(from: string, to: string): number {
  // The names we know have at most 40 letters; what is far longer is not near, and not worth the work.
  if (Math.abs(from.length - to.length) > 10) return Infinity;
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let index = 0; index < from.length; index++) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (from[index] === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? Infinity;
}
