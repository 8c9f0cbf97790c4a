/** One half of the range of the kernel's 31-bit probabilities. */
const whole = 2 ** 31;

/**
 * The probability with which the first of `remaining` endpoints is chosen, as `iptables-save` prints it.
 * kube-proxy hands ten decimals to the tool, the kernel keeps a 31-bit fraction, the tool prints that with eleven.
 */
export function printedProbability(remaining: number): string {
  const fraction = Math.round(tenDecimals(1 / remaining) * whole);
  // Eleven decimals of fraction / 2^31, rounded half to even as printf does: 10^11 / 2^31 = 5^11 / 2^20.
  const scaled = BigInt(fraction) * 5n ** 11n;
  const divisor = 2n ** 20n;
  const quotient = scaled / divisor;
  const twiceRest = (scaled % divisor) * 2n;
  const roundsUp = twiceRest > divisor || (twiceRest === divisor && quotient % 2n === 1n);
  const digits = (roundsUp ? quotient + 1n : quotient).toString().padStart(12, '0');
  return `${digits.slice(0, -11)}.${digits.slice(-11)}`;
}

function tenDecimals(value: number): number {
  // Rounds 1/2048 up where printf rounds to even; both become the same 31-bit fraction.
  return Number(value.toFixed(10));
}
