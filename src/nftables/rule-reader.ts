/** The words of a rule or element, read one after the other. */
export class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#words = Array.from(text.matchAll(/"(?:[^"\\]|\\.)*"|[{},();]|[^\s{},();"]+/g), ([word]) => word);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#words.length;
  }

  /** The word `offset` places ahead; empty past the end. */
  peek(offset = 0): string {
    return this.#words[this.#at + offset] ?? '';
  }

  next(): string {
    const word = this.peek();
    this.#at++;
    return word;
  }

  /** Moves on past these words if they come next. */
  accepts(...words: readonly string[]): boolean {
    if (!words.every((word, index) => this.peek(index) === word)) return false;
    this.#at += words.length;
    return true;
  }

  /** The words not read yet, as text. */
  rest(): string {
    return this.#words.slice(this.#at).join(' ');
  }

  /** Reads up to a word that satisfies `isEnd`, or to the end; returns what was passed over. */
  skipTo(isEnd: (word: string) => boolean): string {
    const from = this.#at;
    while (!this.isAtEnd && !isEnd(this.peek())) this.#at++;
    return this.#words.slice(from, this.#at).join(' ');
  }
}
