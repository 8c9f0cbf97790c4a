import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Command, Option } from 'commander';
import { parseConfig } from '../../src/config/config.ts';
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
      ['-v=4', '-v4', '-v', '4'],
      ['--v=4', '--v=4', '-v', '4'],
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
