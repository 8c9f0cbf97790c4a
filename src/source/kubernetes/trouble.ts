import { printable } from './api-error.ts';
import type { Effects } from './effects.ts';

/** So many different errors of one time of trouble are worth a line. */
const mostTold = 10;

/** What is said of a resource that cannot be followed: a line for each new trouble, not for each try, and one at its end. */
export class Trouble {
  readonly #resource: string;
  readonly #effects: Pick<Effects, 'clock' | 'log'>;
  /** What was said since it began. */
  readonly #told = new Set<string>();
  #since: number | undefined;
  #lastError: string | undefined;

  constructor(resource: string, effects: Pick<Effects, 'clock' | 'log'>) {
    this.#resource = resource;
    this.#effects = effects;
  }

  /** Why it does not work at present. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** `what`: what that means for us. */
  report(error: unknown, what: string): void {
    const { clock, log } = this.#effects;
    const message = printable(error instanceof Error ? error.message : String(error));
    this.#since ??= clock.now();
    this.#lastError = message;
    const fields = { resource: this.#resource, error: message };
    if (this.#told.has(message) || this.#told.size >= mostTold) {
      log.debug(4, 'still cannot follow the API server', fields);
    } else {
      this.#told.add(message);
      log.warn(what, fields);
    }
  }

  /** A good answer came. */
  end(): void {
    if (this.#since === undefined) return;
    const { clock, log } = this.#effects;
    const afterSeconds = Math.round((clock.now() - this.#since) / 1000);
    log.info('the API server answers again', { resource: this.#resource, afterSeconds });
    this.#since = undefined;
    this.#lastError = undefined;
    this.#told.clear();
  }
}
