import { expect } from 'chai';
import { UsageError } from '../../../src/commands/failure.ts';
import { parseClient, parseTarget } from '../../../src/commands/explain/target.ts';

function described(text: string): string {
  const target = parseTarget(text);
  const protocol = target.protocol ?? '-';
  if (target.kind === 'service') return `${target.namespace} ${target.name} ${target.port ?? '-'} ${protocol}`;
  return `${target.kind === 'node' ? 'node' : target.address.text} ${target.port} ${protocol}`;
}

describe('--to', () => {
  const understood: readonly [text: string, means: string][] = [
    ['10.96.0.10:80', '10.96.0.10 80 -'],
    ['10.96.0.10:53/udp', '10.96.0.10 53 udp'],
    ['10.96.0.10:53/UDP', '10.96.0.10 53 udp'],
    ['[fd00:10:96::a]:80', 'fd00:10:96::a 80 -'],
    ['[FD00::0001]:80/sctp', 'fd00::1 80 sctp'],
    ['node:30080', 'node 30080 -'],
    ['node:30080/udp', 'node 30080 udp'],
    ['web', 'default web - -'],
    ['web:80', 'default web 80 -'],
    ['web:http', 'default web http -'],
    ['shop/web:http/tcp', 'shop web http tcp'],
    ['shop/web', 'shop web - -'],
  ];
  for (const [text, means] of understood) {
    it(`understands ${text}`, () => {
      expect(described(text)).to.equal(means);
    });
  }

  for (const text of [
    '10.96.0.10',
    '10.96.0.10:http',
    'node',
    'node:0',
    'node:99999',
    'fd00::1:80',
    '[fd00::1]',
    'a/b/c',
    '',
    'Web:80',
  ]) {
    it(`refuses "${text}" and says what it expects`, () => {
      expect(() => parseTarget(text)).to.throw(UsageError, /expected/);
    });
  }
});

it('looks for Services in the namespace given with -n', () => {
  expect(parseTarget('web:80', 'shop')).to.deep.include({ namespace: 'shop', name: 'web' });
  expect(parseTarget('blog/web:80', 'shop')).to.deep.include({ namespace: 'blog' });
});

describe('--from', () => {
  const understood: readonly [text: string, address: string, port?: number][] = [
    ['10.244.1.5', '10.244.1.5'],
    ['10.244.1.5:40000', '10.244.1.5', 40000],
    ['fd00::5', 'fd00::5'],
    ['[fd00::5]:40000', 'fd00::5', 40000],
  ];
  for (const [text, address, port] of understood) {
    it(`understands ${text}`, () => {
      const client = parseClient(text);
      expect([client.address.text, client.port]).to.deep.equal([address, port]);
    });
  }

  it('refuses anything else', () => {
    expect(() => parseClient('pod-1')).to.throw(UsageError, /--from pod-1: expected IP/);
  });
});
