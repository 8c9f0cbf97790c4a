import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createDirectorySource } from '../../src/source/directory-watch.ts';
import type { StateSource } from '../../src/source/state-source.ts';
import { until } from '../support/manual-clock.ts';

describe('source/directory-watch', () => {
  let directory: string;
  let source: StateSource;
  let problems: string[];

  const manifest = (name: string, clusterIP: string) =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {clusterIP: ${clusterIP}, ports: [{port: 80}]}\n`;
  const write = (file: string, text: string) => {
    writeFileSync(join(directory, file), text);
  };
  const names = () => (source.snapshot()?.services ?? []).map(({ metadata }) => metadata.name).join();

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'pw-manifests-'));
    problems = [];
    write('a.yaml', manifest('a', '10.96.0.1'));
    write('b.yaml', manifest('b', '10.96.0.2'));
    source = createDirectorySource(
      {
        filenames: [directory],
        recursive: false,
        allowEmpty: false,
        manifests: {
          namespace: 'default',
          serviceClusterIPRanges: ['10.96.0.0/12'],
          nodePortRange: { first: 30_000, last: 32_767 },
        },
      },
      {
        after: (delayMs, callback) => {
          // A twentieth of the time, for a test that does not wait.
          const timer = setTimeout(callback, delayMs / 20);
          return () => {
            clearTimeout(timer);
          };
        },
        onProblems: (found) => (problems = found.map(({ file, message }) => `${file}: ${message}`)),
        onWarnings: () => undefined,
      },
    );
    source.start();
    await until('the first state', () => source.snapshot() !== undefined);
  });
  afterEach(async () => {
    await source.stop();
    rmSync(directory, { recursive: true });
  });

  it('takes up a file that is replaced by renaming, and keeps what did not change', async () => {
    const before = source.snapshot()!;
    write('.a.yaml.swp', 'half');
    write('a.tmp', manifest('c', '10.96.0.3'));
    renameSync(join(directory, 'a.tmp'), join(directory, 'a.yaml'));
    await until('the new Service', () => names() === 'c,b');
    expect(source.snapshot()!.services[1]).to.equal(before.services[1]);
    expect(problems).to.deep.equal([]);
  });

  it('follows the links of a volume of a ConfigMap when they are turned over', async () => {
    for (const [name, address] of [
      ['..1', '10.96.0.3'],
      ['..2', '10.96.0.4'],
    ] as const) {
      mkdirSync(join(directory, name));
      write(join(name, 'c.yaml'), manifest('c', address));
    }
    symlinkSync('..1', join(directory, '..data'));
    symlinkSync('..data/c.yaml', join(directory, 'c.yaml'));
    await until('the Service', () => names() === 'a,b,c');
    symlinkSync('..2', join(directory, '..tmp'));
    renameSync(join(directory, '..tmp'), join(directory, '..data'));
    await until('its new address', () => source.snapshot()!.services[2]!.spec.clusterIP === '10.96.0.4');
    expect(problems).to.deep.equal([]);
  });

  it('keeps what a file last said while it is half written, and says what is wrong', async () => {
    write('a.yaml', 'apiVersion: v1\nkind: Service\nmetadata: {name: "a');
    await until('a problem', () => problems.length > 0);
    expect(problems[0]).to.include('a.yaml');
    expect(names()).to.equal('a,b');
    write('b.yaml', manifest('d', '10.96.0.4'));
    await until('the other file', () => names() === 'a,d');
    write('a.yaml', manifest('e', '10.96.0.5'));
    await until('all is well', () => names() === 'e,d' && problems.length === 0);
  });

  it('keeps a Service whose new form would be refused', async () => {
    write('a.yaml', manifest('a', 'nonsense'));
    await until('a problem', () => problems.length > 0);
    expect(source.snapshot()!.services[0]!.spec.clusterIP).to.equal('10.96.0.1');
  });

  it('forgets what a removed file said', async () => {
    rmSync(join(directory, 'a.yaml'));
    await until('one Service', () => names() === 'b');
  });

  it('takes no empty directory for the wish to have no Services', async () => {
    rmSync(join(directory, 'a.yaml'));
    rmSync(join(directory, 'b.yaml'));
    await until('a problem', () => problems.some((text) => text.includes('no Service found')));
    expect(names()).not.to.equal('');
  });

  it('tells nobody of a file that says the same', async () => {
    const before = source.snapshot();
    let told = 0;
    source.onChange(() => (told += 1));
    write('a.yaml', `# a remark\n${manifest('a', '10.96.0.1')}`);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect([told, source.snapshot() === before]).to.deep.equal([0, true]);
  });
});
