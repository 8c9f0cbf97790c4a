/** How wide text for people is at most; a terminal beside an editor has as much. */
export const textWidth = 100;

/**
 * Lines of at most `textWidth` characters, each after the first behind `indent`. A word that is too long stays whole,
 * so that it can be copied.
 */
export function wrap(text: string, first: string, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > textWidth) {
      lines.push(line);
      line = indent;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}

/** `1 packet`, `2 packets`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
