import { MalformedAnswerError } from './api-error.ts';

/** The longest line a watch may send. An object in etcd is at most 1.5 MiB; a line is that and its envelope. */
export const maxLineBytes = 8 * 1024 * 1024;

const newline = 0x0a;

/** Cuts a stream of bytes into lines, wherever the chunks end: also inside a character. Empty lines are left out. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** Bytes of a line whose end has not come yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Throws `MalformedAnswerError` when a line grows beyond `maxLineBytes`, and whatever `onLine` throws. */
  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      this.#emit();
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #keep(bytes: Buffer): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > maxLineBytes) {
      throw new MalformedAnswerError(`a line of the stream is longer than ${maxLineBytes} bytes`);
    }
  }

  #emit(): void {
    const bytes = this.#pending.length === 1 ? this.#pending[0] : Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    if (bytes !== undefined && bytes.length > 0) this.#onLine(bytes.toString('utf8'));
  }
}
