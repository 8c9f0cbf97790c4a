import { closeSync, openSync } from 'node:fs';

/** Pipes for two outputs, one that tells of a failed exec, and what the child opens: with one to spare. */
const neededByChild = 8;

/**
 * Why no child can be started now, in the system's words; absent when one can. To be asked right before: where Node
 * cannot make the pipes of a child it emits an error that nobody can hear, since execa throws before it returns, and
 * that would end us.
 */
export function descriptorShortage(): string | undefined {
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
