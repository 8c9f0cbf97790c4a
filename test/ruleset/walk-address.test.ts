import { expect } from 'chai';
import { contains, onlyAddress, parseAddress, parseRange } from '../../src/ruleset/walk-address.ts';

describe('addresses of the walker', () => {
  const canonical: readonly [text: string, expected: string | undefined][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['010.0.0.1', undefined],
    ['10.0.1', undefined],
    ['256.0.0.1', undefined],
    ['FD00:0::0001', 'fd00::1'],
    ['::1.2.3.4', '::102:304'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['fe80::1%eth0', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of canonical) {
    it(`reads "${text}" as ${expected ?? 'no address'}`, () => {
      expect(parseAddress(text)?.text).to.equal(expected);
    });
  }

  const ranges: readonly [range: string, inside: readonly string[], outside: readonly string[]][] = [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0', '::a00:1']],
    ['10.0.0.0/255.255.255.0', ['10.0.0.255'], ['10.0.1.0']],
    ['10.0.0.5-10.0.0.7', ['10.0.0.5', '10.0.0.7'], ['10.0.0.4', '10.0.0.8']],
    ['10.0.0.5', ['10.0.0.5'], ['10.0.0.6']],
    ['fd00::/64', ['fd00::1', 'fd00::ffff:ffff:ffff:ffff'], ['fd00:0:0:1::']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::1']],
    ['::/0', ['::', 'fd00::1'], ['10.0.0.1']],
  ];
  for (const [text, inside, outside] of ranges) {
    it(`knows what ${text} holds`, () => {
      const range = parseRange(text)!;
      expect(inside.filter((address) => !contains(range, parseAddress(address)!))).to.deep.equal([]);
      expect(outside.filter((address) => contains(range, parseAddress(address)!))).to.deep.equal([]);
    });
  }

  for (const text of ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/255.0.255.0', '10.0.0.1-fd00::1', 'web', '/']) {
    it(`refuses ${text}`, () => {
      expect(parseRange(text)).to.equal(undefined);
    });
  }

  it('names the address of a range that holds one', () => {
    expect(onlyAddress(parseRange('10.96.0.1/32')!)).to.equal('10.96.0.1');
    expect(onlyAddress(parseRange('fd00::a/128')!)).to.equal('fd00::a');
    expect(onlyAddress(parseRange('10.96.0.0/31')!)).to.equal(undefined);
  });
});
