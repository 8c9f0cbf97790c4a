/** What a tool printed. */
export interface Printed {
  /** All of it. */
  text(): Promise<string>;
  /** All of it, in pieces of whole lines, each character one byte. */
  pieces(): AsyncIterable<string>;
}

/** Somebody who sees it in pieces, and may have no need of the whole then. */
export interface Onlooker {
  see(lines: string): void;
  readonly isNews: boolean;
}

/** The whole, unless it is no news. */
export async function newsIn(printed: Printed, onlooker: Onlooker): Promise<string | undefined> {
  for await (const lines of printed.pieces()) onlooker.see(lines);
  return onlooker.isNews ? printed.text() : undefined;
}

/** What is in memory already. */
export function printedText(text: string): Printed {
  return {
    text: () => Promise.resolve(text),
    pieces: async function* () {
      yield await Promise.resolve(Buffer.from(text).toString('latin1'));
    },
  };
}
