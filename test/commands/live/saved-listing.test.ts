import { expect } from 'chai';
import { savedListing } from '../../../src/commands/live/saved-listing.ts';
import { parseConfig } from '../../../src/config/config.ts';

describe('a saved listing', () => {
  const complete = '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n';
  const refused: [string, string, RegExp][] = [
    ['that was cut short', complete.slice(0, -'COMMIT\n'.length), /cut short: table nat has no COMMIT/],
    [
      'of which a table could not be read',
      "*filter\nCOMMIT\n# Table `nat' is incompatible, use 'nft' tool.\n",
      /could not read table nat/,
    ],
    ['of another tool', 'hello\n', /neither what iptables-save prints nor what nft list prints/],
  ];

  for (const [what, text, words] of refused) {
    it(`${what} is refused, not taken for a host without rules`, async () => {
      const { config } = await parseConfig({ ipFamily: 'IPv4' }, () => '');
      expect(() => savedListing('saved.txt', text, config)).to.throw(words);
    });
  }

  it('with all its tables is taken', async () => {
    const { config } = await parseConfig({ ipFamily: 'IPv4' }, () => '');
    expect(savedListing('saved.txt', complete, config).families).to.deep.equal(['IPv4']);
  });
});
