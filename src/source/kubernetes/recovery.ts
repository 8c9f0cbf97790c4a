import { ApiError, ConnectionError, MalformedAnswerError } from './api-error.ts';

/** The server sent nothing for so long that it, or something between, may be dead. */
export class SilentWatchError extends Error {
  override readonly name = 'SilentWatchError';
}

/** A watch that the server ended at once without a word: as a failure, or a broken server would be asked without pause. */
export class EmptyWatchError extends Error {
  override readonly name = 'EmptyWatchError';
}

/** How to go on after a failure. */
export interface Recovery {
  /** `resume` watches on from the last version seen; `relist` reads everything again and compares. */
  readonly from: 'resume' | 'relist';
  /** `soon`: at once if it is the first failure after a healthy time. `backOff`: after a growing wait. */
  readonly wait: 'soon' | 'backOff';
  /** The longest wait between tries. */
  readonly capMs: number;
  /** At least this long, as the server asked. */
  readonly leastMs: number;
  /** The wait may end early when the server takes connections again. */
  readonly untilReachable: boolean;
}

/**
 * Why a watch came to its end. `timeout`: at the time the server gives each watch. `silent`: nothing came for too long.
 * `broken`: the connection was. `expired`: the server knows the version no more. `malformed`: what came cannot be read.
 * `error`: the server said so, with another reason.
 */
export type WatchEnd = 'timeout' | 'silent' | 'broken' | 'expired' | 'malformed' | 'error';

const longestWaitMs = 30_000;
/** For what has an end that nobody announces: a renewed token, a server that answers again, a stream that holds. */
const shortCapMs = 4000;
const firstWaitMs = 800;

/** What to do about what ended a list or watch. */
export function recovery(error: unknown): Recovery {
  const usual: Recovery = { from: 'resume', wait: 'backOff', capMs: longestWaitMs, leastMs: 0, untilReachable: false };
  if (error instanceof ApiError) return { ...usual, ...afterAnswer(error) };
  if (error instanceof MalformedAnswerError) return { ...usual, from: 'relist', wait: 'soon' };
  if (error instanceof SilentWatchError) return { ...usual, wait: 'soon' };
  if (error instanceof EmptyWatchError) return usual;
  if (error instanceof ConnectionError) {
    switch (error.phase) {
      case 'connect':
        return { ...usual, untilReachable: true };
      case 'headers':
        return { ...usual, capMs: shortCapMs };
      case 'body':
        return { ...usual, wait: 'soon', capMs: shortCapMs };
    }
  }
  return { ...usual, capMs: shortCapMs };
}

/** Which end of a watch a failure is. */
export function watchEnd(error: unknown): WatchEnd {
  if (error instanceof ApiError) return error.status === 410 ? 'expired' : 'error';
  if (error instanceof MalformedAnswerError) return 'malformed';
  return error instanceof SilentWatchError ? 'silent' : 'broken';
}

/** Whether pages may come where a list as a stream does not: the server, or something between, cannot do that well. */
export function isBrokenStream(error: unknown): boolean {
  if (error instanceof ApiError) return error.status >= 500;
  if (error instanceof ConnectionError) return error.phase === 'body';
  return error instanceof SilentWatchError || error instanceof MalformedAnswerError;
}

/** Whether an open watch came to this end by what the server did; connections break for other reasons too. */
export function isBarren(error: unknown): boolean {
  return error instanceof SilentWatchError || error instanceof EmptyWatchError || error instanceof ApiError;
}

/** The wait before the next try, with jitter: 0.8 s doubled each time. `failures` counts from 1. */
export function backOffMs(failures: number, capMs: number, random: () => number): number {
  const grown = firstWaitMs * 2 ** Math.min(failures - 1, 20);
  return Math.min(capMs, grown) * (0.8 + 0.2 * random());
}

function afterAnswer(error: ApiError): Partial<Recovery> {
  const leastMs = Math.min(error.retryAfterMs ?? 0, longestWaitMs);
  if (error.status === 410) return { from: 'relist', wait: 'soon' };
  if (error.status === 401) return { capMs: shortCapMs };
  if (error.reason === 'ResourceVersionTooLarge') return { from: 'relist', leastMs };
  const isOurs = error.status >= 400 && error.status < 500 && error.status !== 403 && error.status !== 429;
  // A request that the server does not understand is not made better by repeating it.
  return { from: isOurs ? 'relist' : 'resume', leastMs };
}
