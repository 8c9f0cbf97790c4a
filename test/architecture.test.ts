import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '..');
const src = join(root, 'src');

/** What each room of the house may import of ours: rooms, or single files. */
const mayImport = new Map<string, readonly string[]>([
  ['model', ['model', 'source/objects.ts', 'source/address.ts', 'source/name-order.ts', 'source/warning.ts']],
  ['ruleset', ['ruleset']],
  ['iptables', ['iptables', 'model', 'ruleset', 'template.ts', 'source/objects.ts']],
  ['nftables', ['nftables', 'model', 'ruleset', 'template.ts', 'source/objects.ts']],
  ['kernel', ['kernel']],
  ['source', ['source']],
  ['config', ['config', 'model/options.ts', 'model/model.ts', 'source/objects.ts', 'source/address.ts']],
]);

/** Packages that one place alone may know. */
const onlyIn = new Map<string, (file: string) => boolean>([
  ['@kubernetes/client-node', (file) => file.startsWith('source/kubernetes')],
  ['execa', (file) => file.startsWith('kernel/')],
  ['winston', (file) => file === 'log.ts'],
  ['handlebars', (file) => file === 'template.ts'],
]);

/** What verbs share, in `commands/`: each imports nothing of `commands/` but itself and those before it. */
const sharedByVerbs = ['failure.ts', 'command.ts', 'output', 'input', 'live'].map((room) => `commands/${room}`);

const pureRooms = ['model', 'ruleset', 'iptables', 'nftables'];
const impure = /\b(?:process\.|setTimeout|setInterval|Date\.now|new Date\(|performance\.now|console\.|Math\.random)/;
const impureModules = /^node:(?!crypto|net$)/;

describe('the house', () => {
  it('lets each room import only what it may', () => {
    const broken = files().flatMap((file) => {
      const allowed = mayImport.get(file.split('/')[0] ?? '');
      return allowed === undefined
        ? []
        : ownImports(file)
            .filter((target) => !allowed.some((one) => target === one || target.startsWith(`${one}/`)))
            .map((target) => `${file} imports ${target}`);
    });
    expect(broken).to.deep.equal([]);
  });

  it('keeps what verbs share free of verbs', () => {
    const roomOf = (file: string) => sharedByVerbs.findIndex((one) => file === one || file.startsWith(`${one}/`));
    const broken = files()
      .filter((file) => roomOf(file) !== -1)
      .flatMap((file) =>
        ownImports(file)
          .filter((target) => target.startsWith('commands/'))
          .filter((target) => roomOf(target) === -1 || roomOf(target) > roomOf(file))
          .map((target) => `${file} imports ${target}`),
      );
    expect(broken).to.deep.equal([]);
  });

  it('keeps the reach of each outside package to one place', () => {
    const broken = files().flatMap((file) =>
      imports(file)
        .filter((name) => [...onlyIn].some(([known, isAllowed]) => isPackage(name, known) && !isAllowed(file)))
        .map((name) => `${file} imports ${name}`),
    );
    expect(broken).to.deep.equal([]);
  });

  it('keeps clock, process, files and chance out of the pure rooms', () => {
    const broken = files()
      .filter((file) => pureRooms.includes(file.split('/')[0] ?? ''))
      .filter((file) => impure.test(code(file)) || imports(file).some((name) => impureModules.test(name)));
    expect(broken).to.deep.equal([]);
  });

  it('has no room that is only a drawer', () => {
    const drawers = files().filter((file) =>
      /(?:^|\/)(?:utils?|helpers?|common|lib|types|misc)(?:\/|\.ts$)/.test(file),
    );
    expect(drawers).to.deep.equal([]);
  });

  it('has no circle of imports, nor of types, nor of what is loaded late', () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      if (done.has(file) || path.includes(file)) return;
      for (const target of ownImports(file)) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files()) visit(file, []);
    expect(circles).to.deep.equal([]);
  });
});

function files(): string[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.generated.ts'))
    .toSorted();
}

function code(file: string): string {
  return readFileSync(join(src, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}

function imports(file: string): string[] {
  const stated = code(file).matchAll(/^(?:import|export) (?:[^;]*? from )?'([^']+)'/gm);
  const lazy = code(file).matchAll(/import\('([^']+)'\)/g);
  return [...stated, ...lazy].map(([, name]) => name ?? '');
}

function ownImports(file: string): string[] {
  return imports(file)
    .filter((name) => name.startsWith('.') && name.endsWith('.ts') && !name.endsWith('.generated.ts'))
    .map((name) => relative(src, join(dirname(join(src, file)), name)))
    .filter((target) => !target.startsWith('..'));
}

function isPackage(name: string, known: string): boolean {
  return name === known || name.startsWith(`${known}/`);
}
