import { expect } from 'chai';
import { isIP } from 'node:net';
import fc from 'fast-check';
import { addressKind, cidrContains, parseAddress, parseCidr } from '../../src/source/address.ts';

describe('addresses', () => {
  const read: readonly (readonly [string, string])[] = [
    ['10.0.0.9', '10.0.0.9'],
    ['010.0.0.9', '10.0.0.9'],
    ['172.30.0.041', '172.30.0.41'],
    ['000.00.0.0000', '0.0.0.0'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::ffff:102:304', '1.2.3.4'],
    ['::FFFF:001.02.3.4', '1.2.3.4'],
    ['::1.2.3.4', '::102:304'],
    ['FD00:0:0::0001', 'fd00::1'],
    ['fd00:10:96::7:15bb', 'fd00:10:96::7:15bb'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8::1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1:2:3:4:5:6::', '1:2:3:4:5:6::'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['00001::2', '1::2'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
  ];
  for (const [text, canonical] of read) {
    it(`reads ${text} as ${canonical}`, () => {
      expect(parseAddress(text)).to.deep.equal({ family: canonical.includes(':') ? 'IPv6' : 'IPv4', text: canonical });
    });
  }

  const refused = [
    '',
    ' 10.0.0.1',
    '10.0.0.1 ',
    '10.1',
    '0x0a000001',
    '0x0a.0.0.1',
    '167772161',
    'localhost',
    'db.example.com',
    '10.0.0.1,10.0.0.2',
    '10.0.0.1-10.0.0.9',
    '10.0.0.1/24',
    '256.0.0.1',
    '10.0.0.1\n',
    'fe80::1%eth0',
    '[fd00::1]',
    'fd00::g',
    '1:2:3:4:5:6:7::8',
    '::ffff:1.2.3',
    'undefined',
    '1'.repeat(5000),
  ];
  for (const text of refused) {
    it(`does not read ${JSON.stringify(text.slice(0, 30))}`, () => {
      expect(parseAddress(text)).to.equal(undefined);
    });
  }

  it('reads its own spelling of any address as itself', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseAddress(text);
        expect(address, text).not.to.equal(undefined);
        expect(isIP(address!.text), text).to.equal(address!.family === 'IPv4' ? 4 : 6);
        expect(parseAddress(address!.text)).to.deep.equal(address);
      }),
    );
  });

  const cidrs: readonly (readonly [string, string | undefined])[] = [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['010.1.2.3/025', '10.1.2.0/25'],
    ['10.1.2.255/25', '10.1.2.128/25'],
    ['10.1.2.3/32', '10.1.2.3/32'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['FD00::1:2/64', 'fd00::/64'],
    ['fd00::ff/121', 'fd00::80/121'],
    ['::/0', '::/0'],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
    ['::ffff:10.1.2.3/64', '::/64'],
    ['10.0.0.0/33', undefined],
    ['fd00::/129', undefined],
    ['10.0.0.0', undefined],
    ['10.0.0.0/', undefined],
    ['10.0.0.0/+8', undefined],
    ['10.0.0.0/8/8', undefined],
    ['10.0.0.0/255.0.0.0', undefined],
    ['/8', undefined],
  ];
  for (const [text, canonical] of cidrs) {
    it(`reads the network ${text} as ${canonical ?? 'none'}`, () => {
      expect(parseCidr(text)?.text).to.equal(canonical);
    });
  }

  it('tells members of a network', () => {
    expect(cidrContains('10.0.0.0/8', '10.255.0.1')).to.equal(true);
    expect(cidrContains('10.0.0.0/8', '11.0.0.1')).to.equal(false);
    expect(cidrContains('10.0.0.0/8', '::ffff:10.0.0.1')).to.equal(true);
    expect(cidrContains('fd00::/108', 'fd00::f:ffff')).to.equal(true);
    expect(cidrContains('fd00::/108', 'fd00::10:0')).to.equal(false);
    expect(cidrContains('::/0', '10.0.0.1')).to.equal(false);
    expect(cidrContains('10.0.0.0/8', 'ten')).to.equal(false);
  });

  const kinds: Readonly<Record<string, readonly string[]>> = {
    ordinary: ['10.0.0.1', '223.255.255.255', '240.0.0.1', '169.253.0.1', 'fd00::1', 'fec0::1', '::102:304'],
    unspecified: ['0.0.0.0', '::'],
    loopback: ['127.0.0.1', '127.255.255.255', '::1'],
    'link-local': ['169.254.169.254', 'fe80::1', 'febf::1'],
    multicast: ['224.0.0.1', '239.1.1.1', 'ff02::1'],
    broadcast: ['255.255.255.255'],
  };
  for (const [kind, addresses] of Object.entries(kinds)) {
    it(`calls ${addresses.join(', ')} ${kind}`, () => {
      expect(addresses.map(addressKind)).to.deep.equal(addresses.map(() => kind));
    });
  }
});
