import { createHash } from 'node:crypto';

/** Numbers to allocate from: the lower, static band is left to those who ask for a number while others are free. */
export interface NumberRange {
  readonly first: bigint;
  readonly size: bigint;
  readonly staticSize: bigint;
}

export interface Choice<Holder> {
  readonly value: bigint;
  /** What the identity alone would have led to, and who has it; absent when that is what was chosen. */
  readonly instead?: { readonly of: bigint; readonly heldBy: Holder };
}

/** Who holds which number of a range. */
export class Pool<Holder> {
  readonly range: NumberRange;
  readonly #holders = new Map<bigint, Holder>();
  #dynamicCount = 0n;

  constructor(range: NumberRange) {
    this.range = range;
  }

  contains(value: bigint): boolean {
    return value >= this.range.first && value < this.range.first + this.range.size;
  }

  holderOf(value: bigint): Holder | undefined {
    return this.#holders.get(value);
  }

  /** Takes a number of the range; false when somebody has it. */
  claim(value: bigint, holder: Holder): boolean {
    if (this.#holders.has(value)) return false;
    this.#holders.set(value, holder);
    if (this.#isDynamic(value)) this.#dynamicCount += 1n;
    return true;
  }

  release(value: bigint): void {
    if (this.#holders.delete(value) && this.#isDynamic(value)) this.#dynamicCount -= 1n;
  }

  /**
   * Takes the number that an identity leads to, in the dynamic band while it has free ones, or else the next free
   * one. The same identity leads to the same number whoever else is served, unless that is taken.
   */
  choose(identity: string, holder: Holder): Choice<Holder> | undefined {
    const { first, size, staticSize } = this.range;
    const dynamicSize = size - staticSize;
    const isDynamic = this.#dynamicCount < dynamicSize;
    const [start, length] = isDynamic ? [first + staticSize, dynamicSize] : [first, staticSize];
    if (length <= 0n) return undefined;
    const offset = hash(identity) % length;
    for (let step = 0n; step < length; step += 1n) {
      const value = start + ((offset + step) % length);
      if (!this.claim(value, holder)) continue;
      const preferred = start + offset;
      const heldBy = this.#holders.get(preferred);
      return preferred === value || heldBy === undefined ? { value } : { value, instead: { of: preferred, heldBy } };
    }
    return undefined;
  }

  #isDynamic(value: bigint): boolean {
    return value >= this.range.first + this.range.staticSize && this.contains(value);
  }
}

function hash(identity: string): bigint {
  return createHash('sha256').update(identity).digest().readBigUInt64BE(0);
}
