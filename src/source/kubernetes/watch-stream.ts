import { MalformedAnswerError } from './api-error.ts';
import type { Effects } from './effects.ts';
import { LineSplitter } from './line-splitter.ts';
import { SilentWatchError } from './recovery.ts';
import type { ApiClient } from './request.ts';
import type { WatchEvent } from './watch-event.ts';
import { readWatchEvent } from './watch-event.ts';

/** One watch, and what to do with what it brings. */
export interface WatchRequest {
  readonly path: string;
  /** Where it begins, and the selectors. */
  readonly query: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** The server accepted it; nothing has come yet. */
  readonly onOpen: () => void;
  /** What it throws ends the watch. */
  readonly onEvent: (event: WatchEvent) => void;
  /** After each piece of the stream, when its events were handed over. */
  readonly onPiece: () => void;
  /** The longest pause to accept from now on; asked after each piece. */
  readonly silenceMs: () => number;
}

const leastTimeoutSeconds = 300;

/**
 * Follows one watch: resolves when the server ended it in good order, throws `SilentWatchError` after too long a
 * pause, `MalformedAnswerError` when a line is broken, and what the client or `onEvent` throws.
 */
export async function followWatch(
  client: ApiClient,
  watch: WatchRequest,
  { clock, random }: Pick<Effects, 'clock' | 'random'>,
): Promise<void> {
  const what = `watch ${watch.path}`;
  const ended = new AbortController();
  const end = () => {
    ended.abort();
  };
  const timer = silenceTimer(clock, watch.silenceMs, end);
  const splitter = new LineSplitter((line) => {
    watch.onEvent(readWatchEvent(what, line));
  });
  watch.signal.addEventListener('abort', end);
  if (watch.signal.aborted) end();
  try {
    // Spread, so that the watches of all nodes do not end together.
    const timeoutSeconds = String(leastTimeoutSeconds + Math.floor(random() * leastTimeoutSeconds));
    const query = { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds, ...watch.query };
    const onChunk = (chunk: Buffer) => {
      try {
        splitter.push(chunk);
      } finally {
        watch.onPiece();
      }
      timer.restart();
    };
    await client.stream({ path: watch.path, query, signal: ended.signal }, { onOpen: watch.onOpen, onChunk });
    if (splitter.pendingBytes > 0) throw new MalformedAnswerError(`${what}: the last line was cut short`);
  } catch (error) {
    const silentMs = timer.expiredAfterMs();
    if (silentMs === undefined) throw error;
    throw new SilentWatchError(`${what}: nothing came for ${silentMs / 1000} s`, { cause: error });
  } finally {
    timer.cancel();
    watch.signal.removeEventListener('abort', end);
  }
}

function silenceTimer(clock: Effects['clock'], limitMs: () => number, onSilence: () => void) {
  let expiredAfterMs: number | undefined;
  let cancel: () => void = () => undefined;
  const restart = () => {
    cancel();
    const limit = limitMs();
    cancel = clock.after(limit, () => {
      expiredAfterMs = limit;
      onSilence();
    });
  };
  restart();
  return {
    restart,
    cancel: () => {
      cancel();
    },
    expiredAfterMs: () => expiredAfterMs,
  };
}
