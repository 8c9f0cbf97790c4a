/** The smallest chance, under even choice, of a spread that still counts as even: a false alarm in a billion runs. */
const significance = 1e-9;

/** How connections spread over endpoints, held against an even choice. */
export interface Spread {
  readonly chiSquare: number;
  /** The chance that an even choice spreads at least so unevenly. */
  readonly chance: number;
  readonly isEven: boolean;
}

/** Pearson's chi-square test of even choice; every endpoint has a count, also when it is 0. */
export function spreadOf(counts: readonly number[]): Spread {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  const chance = chiSquareTail(chiSquare, counts.length - 1);
  return { chiSquare, chance, isEven: chance >= significance };
}

/** P(X > x) for X chi-square distributed; the finite sums of Abramowitz and Stegun 26.4.4 and 26.4.5. */
function chiSquareTail(x: number, degrees: number): number {
  if (degrees < 1) return 1;
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? Math.sqrt((2 * x) / Math.PI) * Math.exp(-x / 2) : Math.exp(-x / 2);
  let tail = isOdd ? complementaryError(Math.sqrt(x / 2)) : term;
  for (let k = isOdd ? 3 : 4; k <= degrees; k += 2) {
    if (!isOdd) term *= x / (k - 2);
    tail += term;
    if (isOdd) term *= x / k;
  }
  return tail;
}

/** erfc for x >= 0, relative error below 1.2e-7 (Numerical Recipes, "erfcc"). */
function complementaryError(x: number): number {
  const t = 1 / (1 + x / 2);
  const coefficients = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ];
  const polynomial = coefficients.reduceRight((sum, coefficient) => coefficient + t * sum, 0);
  return t * Math.exp(-x * x + polynomial);
}
