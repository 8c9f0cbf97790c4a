import { readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Follow, Following } from './follow.ts';
import { lockHolder, type LockHolder } from './lock-holder.ts';
import type { RuntimeDirectory } from './runtime-directory.ts';

/** Whether a lock of this network namespace is ours. */
export type Claim =
  | { readonly isOurs: true; release(): void }
  /** Who has it; absent when it is out of our sight, as in another PID namespace. */
  | { readonly isOurs: false; readonly holder?: LockHolder };

/** What a claim works with. */
export interface ClaimEffects {
  readonly follow: Follow;
  readonly directory: RuntimeDirectory;
}

const heldExitCode = 75;

/**
 * Claims to be the one agent of this network namespace, until released or until we die, however we die. `onLost` is
 * called when the lock is lost before. Throws when there is no `flock`.
 */
export async function claimInstance(effects: ClaimEffects, onLost: (reason: string) => void): Promise<Claim> {
  return claim(effects, await lockPath(effects, 'instance'), { waitSeconds: 0, onLost });
}

/** The agent of this network namespace, as far as it uses the same runtime directory and is in sight. */
export async function instanceHolder(effects: Pick<ClaimEffects, 'directory'>): Promise<LockHolder | undefined> {
  return ownerOf(await lockPath(effects, 'instance'));
}

/**
 * Waits for the turn to read the rules of this network namespace and to change them, until released or until we die.
 * Those who wait are served in the order they came. Throws when there is no `flock`.
 */
export async function claimTurn(effects: ClaimEffects, waitSeconds: number): Promise<Claim> {
  return claim(effects, await lockPath(effects, 'turn'), { waitSeconds, onLost: () => undefined });
}

/** Who has the turn; absent when nobody in sight has it. */
export async function turnHolder(effects: Pick<ClaimEffects, 'directory'>): Promise<LockHolder | undefined> {
  return ownerOf(await lockPath(effects, 'turn'));
}

/** One runtime directory may serve several network namespaces; each has rules of its own. */
async function lockPath({ directory }: Pick<ClaimEffects, 'directory'>, name: string): Promise<string> {
  const namespace = /\d+/.exec(await readlink('/proc/self/ns/net'))?.[0] ?? '';
  return `${directory.path}/${name}-${namespace}`;
}

/** The lock is held by a keeper, a process that dies with us. */
function claim(
  { follow }: ClaimEffects,
  path: string,
  { waitSeconds, onLost }: { readonly waitSeconds: number; readonly onLost: (reason: string) => void },
): Promise<Claim> {
  // Should we die before the keeper is bound to us, it finds nobody to tell.
  const keep = ['-c', 'echo held && exec sleep infinity'];
  const args = ['--no-fork', '-w', String(waitSeconds), '-E', String(heldExitCode), path, 'sh', ...keep];
  return new Promise((resolve, reject) => {
    let isHeld = false;
    const keeper: Following = follow('flock', args, {
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
        else if (reason.includes(`exit code ${heldExitCode})`)) resolve(otherClaim(path));
        else reject(new Error(`cannot lock ${path}: ${reason}`));
      },
    });
  });
}

async function otherClaim(path: string): Promise<Claim> {
  const holder = await ownerOf(path);
  return { isOurs: false, ...(holder === undefined ? {} : { holder }) };
}

/** Who a keeper keeps the lock for: its parent. */
async function ownerOf(path: string): Promise<LockHolder | undefined> {
  const keeper = await lockHolder(path);
  if (keeper === undefined) return undefined;
  try {
    const status = await readFile(`/proc/${keeper.pid}/status`, 'utf8');
    const pid = Number(/^PPid:\t(\d+)$/m.exec(status)?.[1]);
    // Node, our file, and the command.
    const [node = '', file = node, ...words] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    return { pid, name: [basename(file), ...words.slice(0, 1)].join(' ').trim() };
  } catch {
    // It ended meanwhile, or its parent is out of sight.
    return keeper;
  }
}
