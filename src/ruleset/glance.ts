import { createHash } from 'node:crypto';

/**
 * A look at a listing while it passes in pieces. Most listings say what the last one said; then nobody needs them as a
 * whole, which on a large node is many megabytes of text, and several times that once it is parsed.
 */
export class Glance {
  readonly #hash = createHash('sha256');
  readonly #known: string | undefined;
  readonly #lasting: (lines: string) => string;
  #fingerprint: string | undefined;

  /** `known`: the fingerprint of what is no news. `lasting`: the lines without what changes by itself. */
  constructor(known: string | undefined, lasting: (lines: string) => string) {
    this.#known = known;
    this.#lasting = lasting;
  }

  /** Whole lines, each character one byte. */
  see(lines: string): void {
    this.#hash.update(this.#lasting(lines), 'latin1');
  }

  /** Of all that was seen: equal for two listings of the same rules. */
  get fingerprint(): string {
    return (this.#fingerprint ??= this.#hash.digest('base64'));
  }

  get isNews(): boolean {
    return this.fingerprint !== this.#known;
  }
}
