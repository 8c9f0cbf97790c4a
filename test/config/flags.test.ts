import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Command, Option } from 'commander';
import { parseConfig } from '../../src/config/config.ts';
import { readFlag } from '../../src/config/flag-type.ts';
import type { FlagType } from '../../src/config/flag-type.ts';
import { attributeName, flagLines, flags, normalizeArguments } from '../../src/config/flags.ts';
import { configurationFields } from '../../src/config/kube-proxy-configuration.ts';

const flagz = readFileSync(new URL('../corpus/http/iptables-10249-flagz.txt', import.meta.url), 'utf8');

describe('the flags', () => {
  it('are those of kube-proxy, with its defaults', () => {
    const recorded = flagz.slice(flagz.indexOf('bind-address: ')).replace(/\n+$/, '').split('\n');
    const lines = flagLines({ config: '/var/lib/kube-proxy/config.conf', master: 'http://127.0.0.1:18080' });
    expect(lines).to.deep.equal(recorded);
  });

  it('have names, attributes and letters of their own', () => {
    expect(new Set(flags.map(({ name }) => name)).size).to.equal(flags.length);
    expect(new Set(flags.map(({ name }) => attributeName(name))).size).to.equal(flags.length);
    const letters = flags.flatMap(({ short }) => short ?? []);
    expect(new Set(letters).size).to.equal(letters.length);
  });

  it('set fields that exist', () => {
    const paths = fieldPaths(configurationFields);
    for (const field of flags.flatMap(({ fields }) => fields)) expect(paths).to.include(field);
  });

  it('are what commander gives when each takes a value', async () => {
    const program = new Command();
    for (const { name, short, type } of flags) {
      const option = new Option(`${short === undefined ? '' : `-${short}, `}--${name} <${type}>`);
      program.addOption(
        type === 'list' ? option.argParser((text, before: string[] | undefined) => [...(before ?? []), text]) : option,
      );
    }
    const argv = '-v 4 --masquerade_all --iptables-localhost-nodeports=false -n shop --detect-local-mode NodeCIDR';
    const lists = '--nodeport-addresses 10.0.0.0/8,fd00::/8 --nodeport-addresses 11.0.0.0/8';
    program.parse(normalizeArguments(`${argv} ${lists}`.split(' ')), { from: 'user' });
    const { config } = await parseConfig(program.opts(), () => '');
    expect(config).to.deep.include({
      masqueradeAll: true,
      localhostNodePorts: false,
      namespace: 'shop',
      detectLocal: { mode: 'NodeCIDR' },
      nodePortAddresses: ['10.0.0.0/8', 'fd00::/8', '11.0.0.0/8'],
    });
    expect(config.logging.verbosity).to.equal(4);
  });

  it('have one form of the version', () => {
    expect(normalizeArguments(['run', '--version=raw'])).to.deep.equal(['run', '--version']);
  });

  it('print what was given as kube-proxy prints it', () => {
    const lines = flagLines({
      configSyncPeriod: '90s',
      nodeportAddresses: ['10.0.0.0/8', 'fd00::/8'],
      featureGates: 'A=true,B=false',
      vmodule: 'a=1,b=2',
      masqueradeAll: true,
    });
    expect(lines).to.include.members([
      'config-sync-period: 1m30s',
      'nodeport-addresses: [10.0.0.0/8,fd00::/8]',
      'feature-gates: A=true,B=false',
      'vmodule: a=1,b=2',
      'masquerade-all: true',
    ]);
  });
});

describe('the value of a flag', () => {
  // What Go's pflag made of these texts.
  const cases: [FlagType, Record<string, number | undefined>][] = [
    [
      'int32',
      {
        ...{ '5': 5, '+5': 5, '-5': -5, '0': 0, '00': 0, '0x10': 16, '0X1F': 31, '-0x10': -16, '0x_1f': 31 },
        ...{ '0o17': 15, '0O17': 15, '017': 15, '0_7': 7, '0b1': 1, '0B11': 3, '1_000': 1000 },
        ...{ '-2147483648': -(2 ** 31), '2147483648': undefined, '0x80000000': undefined, '4294967296': undefined },
        ...{ '08': undefined, '0b2': undefined, '0x': undefined, '0_x1': undefined, _1: undefined, '1_': undefined },
        ...{ '1__0': undefined, '': undefined, '+': undefined, abc: undefined, '1f': undefined },
        ...{ '1.5': undefined, '1e3': undefined, '0e5': undefined, ' 5': undefined, '٣': undefined },
      },
    ],
    [
      'level',
      {
        ...{ '5': 5, '017': 17, '08': 8, '2147483647': 2 ** 31 - 1, '2147483648': undefined, '': undefined },
        ...{ '0x10': undefined, '1_000': undefined, '+5': undefined, '-5': undefined, '1e3': undefined },
      },
    ],
    [
      'float',
      {
        ...{ '5': 5, '1.5': 1.5, '.5': 0.5, '5.': 5, '1e3': 1000, '1E-3': 0.001, '-5': -5, '0.1': 0.1 },
        ...{ '1_0': 10, '1_000.5': 1000.5, '3.4028235e38': 3.4028235e38, '3.5e38': undefined, '1e40': undefined },
        ...{ '': undefined, '.': undefined, abc: undefined, '1e': undefined, '--1': undefined, '0x10': undefined },
      },
    ],
  ];
  for (const [type, values] of cases) {
    it(`of the type ${type} is read as in Go`, () => {
      const texts = Object.keys(values);
      const read = texts.map((text) => {
        const reading = readFlag(type, text);
        return [text, reading.kind === 'value' ? reading.value : undefined];
      });
      expect(Object.fromEntries(read)).to.deep.equal(values);
    });
  }
});

describe('normalizeArguments', () => {
  const cases: [string[], string[]][] = [
    [
      ['--proxy_mode', 'nft_ables'],
      ['--proxy-mode', 'nft_ables'],
    ],
    [['--proxy_mode=a_b'], ['--proxy-mode=a_b']],
    [
      ['--masquerade-all', 'x'],
      ['--masquerade-all=true', 'x'],
    ],
    [['--masquerade_all=false'], ['--masquerade-all=false']],
    [
      ['-v=4', '-v4', '-v', '4', '-v=much'],
      ['--v=4', '--v=4', '-v', '4', '--v=much'],
    ],
    [
      ['--dry-run', '-f', 'a_b'],
      ['--dry-run', '-f', 'a_b'],
    ],
    [
      ['--', '--a_b'],
      ['--', '--a_b'],
    ],
  ];
  for (const [given, expected] of cases) {
    it(`turns ${given.join(' ')} into ${expected.join(' ')}`, () => {
      expect(normalizeArguments(given)).to.deep.equal(expected);
    });
  }
});

function fieldPaths(field: unknown, path: readonly string[] = []): string[] {
  const fields = (field as { fields?: Record<string, unknown> }).fields;
  if (fields === undefined) return [path.join('.')];
  return Object.entries(fields).flatMap(([name, inner]) => fieldPaths(inner, [...path, name]));
}
