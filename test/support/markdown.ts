/** A fenced or indented block of code on a page. */
export interface CodeBlock {
  /** After the fence: `sh`, `console`, …; empty for indented blocks. */
  readonly language: string;
  /** With lines that a backslash continues joined. */
  readonly lines: readonly string[];
}

/** A command that a page runs, and what it shows of its output. */
export interface DocumentedRun {
  readonly command: string;
  readonly output: readonly string[];
}

export function codeBlocks(page: string): readonly CodeBlock[] {
  const blocks: { language: string; lines: string[] }[] = [];
  let fence: { language: string; lines: string[] } | undefined;
  let isIndented = false;
  for (const line of page.split('\n')) {
    const mark = /^```(\w*)$/.exec(line);
    if (mark !== null) {
      if (fence !== undefined) blocks.push(fence);
      fence = fence === undefined ? { language: mark[1] ?? '', lines: [] } : undefined;
      continue;
    }
    if (fence !== undefined) fence.lines.push(line);
    else if (/^ {4}\S/.test(line)) {
      if (!isIndented) blocks.push({ language: '', lines: [] });
      blocks.at(-1)?.lines.push(line.slice(4));
    }
    isIndented = fence === undefined && line.startsWith('    ');
  }
  return blocks.map(({ language, lines }) => ({ language, lines: joined(lines) }));
}

/** The text of `code` in running text, outside blocks. */
export function inlineCode(page: string): readonly string[] {
  const prose = page.replace(/^```[^]*?^```$/gm, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code ?? '');
}

/** The words after `portwright` wherever it stands where a shell expects a command. */
export function commandsOf(lines: readonly string[]): readonly (readonly string[])[] {
  return lines.flatMap((line) =>
    line
      .replace(/^\s*\$ /, '')
      .split(/\s*(?:\||&&|;|>|#)\s*/)
      .flatMap((part) => {
        const [, words] = /^(?:sudo |npx )*portwright ((?:[-a-z]).*)$/.exec(part.trim()) ?? [];
        return words === undefined ? [] : [words.trim().split(/\s+/)];
      }),
  );
}

/** Commands in blocks marked `console`, or so, with what follows them. */
export function runsOf(page: string, language = 'console'): readonly DocumentedRun[] {
  const runs: { command: string; output: string[] }[] = [];
  for (const { lines } of codeBlocks(page).filter((block) => block.language === language)) {
    for (const line of lines) {
      if (line.startsWith('$ ')) runs.push({ command: line.slice(2), output: [] });
      else runs.at(-1)?.output.push(line);
    }
  }
  return runs;
}

/**
 * The lines printed, with gaps as the page has them: a line `…` stands for any lines, and `…` in a line for what a line
 * has there.
 */
export function withGapsOf(shown: readonly string[], lines: readonly string[]): readonly string[] {
  const result: string[] = [];
  let at = 0;
  for (const [index, line] of shown.entries()) {
    if (line.trim() === '…') {
      const next = shown[index + 1];
      const found = next === undefined ? lines.length : lines.findIndex((one, place) => place >= at && fits(one, next));
      if (found === -1) break;
      result.push(line);
      at = found;
      continue;
    }
    const printedLine = lines[at];
    if (printedLine === undefined) break;
    result.push(fits(printedLine, line) ? line : printedLine);
    at += 1;
  }
  return [...result, ...lines.slice(at)];
}

function fits(line: string, shown: string): boolean {
  const pieces = shown.split(/ ?… ?/).map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pieces.join('.*')}$`).test(line);
}

/** Targets of links that are no addresses on the web. */
export function linksOf(page: string): readonly string[] {
  const prose = page.replace(/^```[^]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** What a link can point to after `#`. */
export function headingAnchors(page: string): readonly string[] {
  return [...page.replace(/^```[^]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replace(/ /g, '-'),
  );
}

function joined(lines: readonly string[]): readonly string[] {
  return lines.reduce<string[]>((all, line) => {
    const last = all.at(-1);
    if (last?.endsWith(' \\') === true) all[all.length - 1] = `${last.slice(0, -2)} ${line.trim()}`;
    else all.push(line);
    return all;
  }, []);
}
