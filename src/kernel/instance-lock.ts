import { readFile } from 'node:fs/promises';
import type { Follow, Following } from './follow.ts';
import { lockHolder, type LockHolder } from './lock-holder.ts';
import type { RuntimeDirectory } from './runtime-directory.ts';

/** Whether we are the one agent of this node. */
export type InstanceClaim =
  | { readonly isOurs: true; release(): void }
  /** The other agent; absent when it is out of our sight, as in another PID namespace. */
  | { readonly isOurs: false; readonly holder?: LockHolder };

/** What a claim works with. */
export interface InstanceEffects {
  readonly follow: Follow;
  readonly directory: RuntimeDirectory;
}

const heldExitCode = 75;

/**
 * Claims the runtime directory, and with it the node, until released or until we die, however we die: the lock is
 * held by a process that dies with us. `onLost` is called when that process ends before. Throws when there is no `flock`.
 */
export function claimInstance(effects: InstanceEffects, onLost: (reason: string) => void): Promise<InstanceClaim> {
  const path = `${effects.directory.path}/instance`;
  const keep = ['-c', 'echo held; exec sleep infinity'];
  const args = ['--no-fork', '--nonblock', '-E', String(heldExitCode), path, 'sh', ...keep];
  return new Promise((resolve, reject) => {
    let isHeld = false;
    const keeper: Following = effects.follow('flock', args, {
      onLine: () => {
        isHeld = true;
        resolve({
          isOurs: true,
          release: () => {
            keeper.stop();
          },
        });
      },
      onEnd: (reason) => {
        if (isHeld) onLost(reason);
        else if (reason.includes(`exit code ${heldExitCode})`)) resolve(otherInstance(path));
        else reject(new Error(`cannot claim this node by ${path}: ${reason}`));
      },
    });
  });
}

/** The lock is held by the keeper; the agent is its parent. */
async function otherInstance(path: string): Promise<InstanceClaim> {
  const keeper = await lockHolder(path);
  if (keeper === undefined) return { isOurs: false };
  try {
    const status = await readFile(`/proc/${keeper.pid}/status`, 'utf8');
    const pid = Number(/^PPid:\t(\d+)$/m.exec(status)?.[1]);
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8')).trim();
    return { isOurs: false, holder: { pid, name } };
  } catch {
    // It ended meanwhile, or its parent is out of sight.
    return { isOurs: false, holder: keeper };
  }
}
