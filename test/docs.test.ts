import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect } from 'chai';
import { verbs } from '../src/commands/verbs.ts';
import { flags } from '../src/config/flags.ts';
import { codeBlocks, commandsOf, headingAnchors, inlineCode, linksOf, runsOf, withGapsOf } from './support/markdown.ts';

const root = join(import.meta.dirname, '..');
const pages = markdownFiles();
const textOf = (page: string) => readFileSync(join(root, page), 'utf8');

/** Directories that exist on some machine and not on every one; the system's own, such as /etc, may be named. */
const somebodysPath = /(?<![\w.])\/(?:home|root|Users|tmp|work|workspace|mnt)\/[\w.]/;

describe('the documents', () => {
  it('are there', () => {
    const wanted = ['README', 'ARCHITECTURE', 'CONTRIBUTING', 'SECURITY', 'CHANGELOG', 'docs/README', 'golden/README'];
    expect(pages).to.include.members(wanted.map((name) => `${name}.md`));
  });

  for (const page of pages) {
    describe(page, () => {
      it('links to files and headings that exist', () => {
        const broken = linksOf(textOf(page)).filter((link) => !isThere(page, link));
        expect(broken).to.deep.equal([]);
      });

      it('names no path of a single machine', () => {
        const lines = textOf(page).split('\n');
        expect(lines.filter((line) => somebodysPath.test(line) || line.includes(root))).to.deep.equal([]);
      });

      it('shows only commands and options that exist', async () => {
        const code = [...codeBlocks(textOf(page)).flatMap(({ lines }) => lines), ...inlineCode(textOf(page))];
        const wrong: string[] = [];
        for (const words of commandsOf(code)) {
          const unknown = await unknownWords(words);
          if (unknown.length > 0) wrong.push(`portwright ${words.join(' ')}: no ${unknown.join(', ')}`);
        }
        expect(wrong).to.deep.equal([]);
      });
    });
  }
});

describe('commands in the documents', () => {
  for (const page of pages) {
    for (const { command, output } of runsOf(textOf(page)).filter((run) => printsTheSameEverywhere(run.command))) {
      it(`${page}: ${command}`, async () => {
        const printed = await printedBy(command);
        expect(withGapsOf(output, printed)).to.deep.equal(output);
      });
    }
  }
});

describe('the page about pinning', () => {
  it('shows the script that stands beside the example', () => {
    const script = readFileSync(join(root, 'docs/examples/pinning/check-rules'), 'utf8').trimEnd();
    expect(codeBlocks(textOf('docs/pinning.md')).map(({ lines }) => lines.join('\n'))).to.include(script);
  });
});

describe('the index of the documents', () => {
  it('names every page', () => {
    const index = textOf('docs/README.md');
    const missing = pages.filter((page) => /^docs\/[^/]+\.md$/.test(page) && page !== 'docs/README.md');
    expect(missing.filter((page) => !index.includes(`(${page.slice('docs/'.length)})`))).to.deep.equal([]);
  });

  it('has a page for every topic of help that promises one', async () => {
    const { topics } = await import('../src/commands/help-topics.ts');
    const promised = topics.flatMap(({ text }) => [...text.matchAll(/docs\/[\w-]+\.md/g)].map(([path]) => path));
    expect(promised.filter((path) => !existsSync(join(root, path)))).to.deep.equal([]);
  });
});

function markdownFiles(): string[] {
  const folders = ['.', 'docs', 'golden', 'deploy', '.github'];
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.md'))
    .toSorted();
}

function isThere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : relative(root, join(root, dirname(page), path));
  if (target.startsWith('..') || !existsSync(join(root, target))) return false;
  return anchor === undefined || headingAnchors(textOf(target)).includes(anchor);
}

/** Files of the repository in, text out: no kernel, no root, no cluster. */
function printsTheSameEverywhere(command: string): boolean {
  const isOfFiles = / (?:-f|--ruleset) (?:docs|golden)\//.test(command);
  const isPure = /^portwright (?:render|explain|verify) /.test(command) || / --live (?:docs|golden)\//.test(command);
  return isOfFiles && isPure;
}

const helps = new Map<string, ReadonlySet<string>>();

/** The verb, or the options, that the program does not know. */
async function unknownWords(words: readonly string[]): Promise<readonly string[]> {
  const [verb = '', ...rest] = words;
  if (verb === '--version' || verb === '--help') return [];
  if (!/^[a-z]+$/.test(verb)) return [];
  if (!verbs.some(({ name }) => name === verb)) return [verb];
  let known = helps.get(verb);
  if (known === undefined) {
    known = await optionsOf(verb);
    helps.set(verb, known);
  }
  const given = rest.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.replace(/=.*$/, ''));
  return given.filter((option) => !known.has(option));
}

/** As the command's own help lists them, beside the flags of the configuration. */
async function optionsOf(verb: string): Promise<ReadonlySet<string>> {
  const help = (await printed([verb, '--help'])).join('\n');
  const listed = [...help.matchAll(/^ +(?:(-\w), )?(--[\w-]+)/gm)].flatMap(([, short, long]) => [short, long]);
  const hasFlags = listed.includes('--proxy-mode');
  return new Set([
    ...listed.filter((option) => option !== undefined),
    ...(hasFlags ? flags.map(({ name }) => `--${name}`) : []),
  ]);
}

function printedBy(command: string): Promise<readonly string[]> {
  return printed(command.split(/\s+/).slice(1));
}

/** What the program prints and says, in lines, run where the documents say: at the root of the checkout. */
async function printed(argv: readonly string[]): Promise<readonly string[]> {
  // As main.ts has it; commands load more by import() and must meet the same modules.
  const { runProgram } = await import('../src/commands/program.ts');
  let text = '';
  const before = process.cwd();
  process.chdir(root);
  try {
    await runProgram(argv, {
      print: (printedText) => (text += printedText),
      say: (line) => (text += `${line}\n`),
      hasColour: false,
      env: {},
      signal: new AbortController().signal,
      readStdin: () => Promise.resolve(new Uint8Array()),
    });
  } finally {
    process.chdir(before);
  }
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
