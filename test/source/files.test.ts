import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { readTexts, stampOf } from '../../src/source/files.ts';

describe('input files', () => {
  let folder = '';
  const readStdin = (): Promise<Uint8Array> => Promise.resolve(Buffer.from('kind: Service\n'));
  const read = (paths: readonly string[], recursive = false): ReturnType<typeof readTexts> =>
    readTexts(paths, { recursive, readStdin });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'manifests-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function put(name: string, content: string | Buffer = name): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }

  it('reads the manifests of a folder in the order of their names, no hidden and no backup files', async () => {
    for (const name of ['b.yaml', 'a.yml', 'c.json', 'B.yaml', '.hidden.yaml', 'a.yaml~', 'd.yaml.bak', 'readme.md']) {
      put(name);
    }
    mkdirSync(join(folder, 'bb'));
    put('bb/inner.yaml');
    const names = async (recursive: boolean): Promise<string[]> =>
      (await read([folder], recursive)).texts.map(({ file }) => relative(folder, file));
    expect(await names(false)).to.deep.equal(['B.yaml', 'a.yml', 'b.yaml', 'c.json']);
    expect(await names(true)).to.deep.equal(['B.yaml', 'a.yml', 'b.yaml', 'bb/inner.yaml', 'c.json']);
  });

  it('reads a file of any name, and links to files', async () => {
    put('plain', 'a: 1');
    symlinkSync('plain', join(folder, 'link.yaml'));
    symlinkSync('.', join(folder, 'loop.yaml'));
    const { texts, problems } = await read([join(folder, 'plain'), folder], true);
    expect(problems).to.deep.equal([]);
    expect(texts.slice(0, 1)).to.deep.equal([{ file: join(folder, 'plain'), text: 'a: 1' }]);
    expect(texts.filter(({ file }) => file === join(folder, 'link.yaml'))).to.have.length(1);
  });

  it('reads standard input once', async () => {
    const { texts, problems } = await read(['-', '-']);
    expect(texts).to.deep.equal([{ file: '-', text: 'kind: Service\n' }]);
    expect(problems).to.deep.equal([
      { file: '-', message: 'standard input was given twice, but can be read once only' },
    ]);
  });

  const refused: readonly (readonly [string, () => string, RegExp])[] = [
    ['a file that is not there', () => join(folder, 'absent'), /no such file/],
    ['an address of the web', () => 'https://example.com/web.yaml', /is an address of the web, and no file/],
    ['a path below a file', () => join(put('file'), 'below'), /no such file/],
    ['a NUL', () => put('nul.yaml', 'a: 1\nb: \0\n'), /NUL/],
    ['bytes that are not UTF-8', () => put('latin.yaml', Buffer.from('a: 1\nb: \xe9\n', 'latin1')), /not valid UTF-8/],
    ['UTF-16', () => put('utf16.yaml', Buffer.from('\uFEFFa: 1\n', 'utf16le')), /UTF-16/],
    ['a device', () => '/dev/zero', /not a regular file/],
    [
      'a pipe without waiting for a writer',
      () => {
        execFileSync('mkfifo', [join(folder, 'pipe')]);
        return join(folder, 'pipe');
      },
      /not a regular file/,
    ],
    [
      'what is too large to be meant',
      () => {
        truncateSync(put('large.yaml'), 65 * 1024 * 1024);
        return join(folder, 'large.yaml');
      },
      /too large: 65 MiB/,
    ],
  ];
  for (const [what, make, message] of refused) {
    it(`refuses ${what}, and reads the rest`, async () => {
      const path = make();
      const good = put('good.yaml', 'a: 1');
      const { texts, problems } = await read([path, good]);
      expect(texts).to.deep.equal([{ file: good, text: 'a: 1' }]);
      expect(problems.map(({ file }) => file)).to.deep.equal([path]);
      expect(problems[0]!.message).to.match(message);
    });
  }

  it('names the line of what is no text', async () => {
    const { problems } = await read([put('nul.yaml', 'a: 1\nb: \0\n'), put('x.yaml', Buffer.from([97, 10, 0xff]))]);
    expect(problems.map(({ line }) => line)).to.deep.equal([2, 2]);
  });

  describe('have a stamp that', () => {
    const changes: readonly (readonly [string, () => void])[] = [
      ['a file is written with as many bytes', () => put('a.yaml', 'a: 2')],
      [
        'a file is replaced',
        () => {
          renameSync(put('new', 'a: 1'), join(folder, 'a.yaml'));
        },
      ],
      ['a file comes', () => put('inner/c.yaml', 'c: 1')],
      [
        'a file goes',
        () => {
          rmSync(join(folder, 'inner', 'b.yaml'));
        },
      ],
      [
        'a link leads elsewhere',
        () => {
          symlinkSync('inner/b.yaml', join(folder, 'turned'));
          renameSync(join(folder, 'turned'), join(folder, 'link.yaml'));
        },
      ],
    ];
    const stamp = () => stampOf([folder], true);

    beforeEach(() => {
      mkdirSync(join(folder, 'inner'));
      put('a.yaml', 'a: 1');
      put('inner/b.yaml', 'b: 1');
      symlinkSync('a.yaml', join(folder, 'link.yaml'));
    });

    it('stays while nothing changes that would be read', async () => {
      const before = await stamp();
      put('.a.yaml.swp');
      put('readme.md');
      expect(await stamp()).to.equal(before);
    });

    for (const [what, change] of changes) {
      it(`is another when ${what}`, async () => {
        const before = await stamp();
        // The clock of a file system may tick a hundred times a second only.
        await new Promise((resolve) => setTimeout(resolve, 25));
        change();
        expect(await stamp()).not.to.equal(before);
      });
    }
  });
});
