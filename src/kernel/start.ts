import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

/** What was started; or why nothing was, in the system's words, which may be known a moment later only. */
export type Started<Child> = { readonly child: Child } | { readonly failure: Promise<string> };

/** Pipes for two outputs, one that tells of a failed exec, and what the child opens: with one to spare. */
const neededByChild = 8;

/**
 * Starts a child by execa. Where Node cannot open the pipes of a child it returns one that has none and emits the error
 * afterwards; execa throws at the missing pipes, before anybody could listen, and the error would end us. It also keeps
 * those pipes open that it made before it failed. So we look first; but our other threads open files meanwhile.
 */
export function startChild<Child>(start: () => Child): Started<Child> {
  const shortage = descriptorShortage();
  if (shortage !== undefined) return { failure: Promise.resolve(shortage) };
  const spawned: ChildProcess[] = [];
  const onSpawn = (message: unknown) => {
    spawned.push((message as { readonly process: ChildProcess }).process);
  };
  subscribe('child_process', onSpawn);
  try {
    return { child: start() };
  } catch (error) {
    const child = spawned.find(({ stdio }) => (stdio as ChildProcess['stdio'] | undefined) === undefined);
    if (child === undefined) throw error;
    return { failure: once(child, 'error').then(([reason]) => (reason as Error).message) };
  } finally {
    unsubscribe('child_process', onSpawn);
  }
}

/** Why no child can be started now, in the system's words; absent when one can. */
function descriptorShortage(): string | undefined {
  const opened: number[] = [];
  try {
    while (opened.length < neededByChild) opened.push(openSync('/dev/null', 'r'));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}
