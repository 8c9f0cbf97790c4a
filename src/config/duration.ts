/** Nanoseconds, as Go counts a `time.Duration`. */
export type Duration = bigint;

const units: ReadonlyMap<string, Duration> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n], // U+00B5
  ['μs', 1_000n], // U+03BC
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

/** A Go duration is a signed 64-bit number. */
const maxDuration = 2n ** 63n - 1n;

/**
 * Reads a duration as Go's `time.ParseDuration` does: an optional sign, then numbers with units, for instance
 * `1h2m3.5s` or `300ms`. The only number that needs no unit is 0. Undefined for everything else, and for what does
 * not fit into 64 bits.
 */
export function parseDuration(text: string): Duration | undefined {
  const sign = /^[+-]/.exec(text)?.[0] ?? '';
  const body = text.slice(sign.length);
  if (body === '0') return 0n;
  let rest = body;
  let total = 0n;
  do {
    const match = /^(\d*)(?:\.(\d*))?([a-zµμ]+)/.exec(rest);
    const [all = '', whole = '', fraction = '', unit = ''] = match ?? [];
    const size = units.get(unit);
    if (size === undefined || whole + fraction === '') return undefined;
    total += BigInt(whole || '0') * size + (BigInt(fraction || '0') * size) / 10n ** BigInt(fraction.length);
    // Checked as it grows, so that a long text costs no more than it must.
    if (total > maxDuration) return undefined;
    rest = rest.slice(all.length);
  } while (rest !== '');
  return sign === '-' ? -total : total;
}

/** Prints a duration as Go does: `24h0m0s`, `1m30s`, `1.5s`, `300ms`, `0s`. `parseDuration` reads it back. */
export function formatDuration(duration: Duration): string {
  if (duration < 0n) return `-${formatDuration(-duration)}`;
  if (duration === 0n) return '0s';
  if (duration < 1_000n) return `${duration.toString()}ns`;
  if (duration < 1_000_000n) return `${decimal(duration, 3)}µs`;
  if (duration < 1_000_000_000n) return `${decimal(duration, 6)}ms`;
  const hours = duration / 3_600_000_000_000n;
  const minutes = (duration / 60_000_000_000n) % 60n;
  const seconds = `${decimal(duration % 60_000_000_000n, 9)}s`;
  if (hours > 0n) return `${hours.toString()}h${minutes.toString()}m${seconds}`;
  return minutes > 0n ? `${minutes.toString()}m${seconds}` : seconds;
}

/** Milliseconds, with a fraction where there is one. */
export function milliseconds(duration: Duration): number {
  return Number(duration) / 1e6;
}

/** `value / 10^places` without trailing zeros. */
function decimal(value: bigint, places: number): string {
  const digits = value.toString().padStart(places + 1, '0');
  const fraction = digits.slice(-places).replace(/0+$/, '');
  const whole = digits.slice(0, -places);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
