import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from './runner.ts';

/** A volume of a ConfigMap may be on a file system that tells nothing. */
const pollMs = 30_000;
const settleMs = 100;

/**
 * Calls back once when the content of a file is another than `text`, whether it was written, replaced by renaming, or
 * is behind a symbolic link that now leads elsewhere, as in volumes of ConfigMaps. A file that is missing is waited for.
 */
export function watchConfigFile(
  path: string,
  text: string,
  { clock, onChange }: { readonly clock: Clock; readonly onChange: () => void },
): { stop(): void } {
  let cancel = (): void => undefined;
  let isStopped = false;
  const look = async (): Promise<void> => {
    const current = await readFile(path, 'utf8').catch(() => text);
    if (isStopped) return;
    if (current === text) lookIn(pollMs);
    else {
      isStopped = true;
      watcher?.close();
      onChange();
    }
  };
  const lookIn = (delayMs: number): void => {
    cancel();
    cancel = clock.after(delayMs, () => void look());
  };
  const watcher = directoryWatcher(dirname(path), () => {
    if (!isStopped) lookIn(settleMs);
  });
  // It may have changed since it was read: an agent can wait long for its turn.
  lookIn(settleMs);
  return {
    stop: () => {
      isStopped = true;
      cancel();
      watcher?.close();
    },
  };
}

function directoryWatcher(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onEvent);
    // Polling goes on.
    watcher.on('error', () => {
      watcher.close();
    });
    return watcher;
  } catch {
    return undefined;
  }
}
