import { expect } from 'chai';
import fc from 'fast-check';
import { formatDuration, milliseconds, parseDuration } from '../../src/config/duration.ts';

const second = 1_000_000_000n;

describe('a duration', () => {
  const readable: [string, bigint, string][] = [
    ['0', 0n, '0s'],
    ['-0', 0n, '0s'],
    ['0s', 0n, '0s'],
    ['24h', 86_400n * second, '24h0m0s'],
    ['1h2m3.5s', 3_723_500_000_000n, '1h2m3.5s'],
    ['90s', 90n * second, '1m30s'],
    ['1.5h', 5_400n * second, '1h30m0s'],
    ['.5s', 500_000_000n, '500ms'],
    ['1.s', second, '1s'],
    ['300ms', 300_000_000n, '300ms'],
    ['1us', 1_000n, '1µs'],
    ['1µs', 1_000n, '1µs'],
    ['1.5μs', 1_500n, '1.5µs'],
    ['7ns', 7n, '7ns'],
    ['+5s', 5n * second, '5s'],
    ['-1m', -60n * second, '-1m0s'],
    ['1s1h', 3_601n * second, '1h0m1s'],
    ['9223372036854775807ns', 2n ** 63n - 1n, '2562047h47m16.854775807s'],
  ];
  for (const [text, value, printed] of readable) {
    it(`reads ${text} and prints ${printed}`, () => {
      expect(parseDuration(text)).to.equal(value);
      expect(formatDuration(value)).to.equal(printed);
    });
  }

  for (const text of [
    '',
    '-',
    '5',
    '1.5',
    's',
    '.s',
    '1 s',
    ' 1s',
    '1s ',
    '1d',
    '1S',
    '--1s',
    '1e3s',
    '9223372036854775808ns',
    '1h-1m',
    'yes',
    '1s\n',
  ]) {
    it(`does not read ${JSON.stringify(text)}`, () => {
      expect(parseDuration(text)).to.equal(undefined);
    });
  }

  it('reads back what it prints', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n }), (duration) => {
        expect(parseDuration(formatDuration(duration))).to.equal(duration);
      }),
    );
  });

  it('refuses a text of any length without effort', () => {
    expect(parseDuration('9'.repeat(100_000))).to.equal(undefined);
    expect(parseDuration('1h'.repeat(50_000) + '?')).to.equal(undefined);
  });

  it('converts to milliseconds', () => {
    expect(milliseconds(1_500_000n)).to.equal(1.5);
  });
});
