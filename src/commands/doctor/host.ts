import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { lockHolder } from '../../kernel/lock-holder.ts';
import type { Variant } from '../../kernel/iptables-tools.ts';
import { fine, textOf, unseen } from './finding.ts';
import type { Finding, Sight } from './finding.ts';

const netAdmin = 12n;
const netRaw = 13n;

/** What this process may do; the agent usually runs with the same rights. */
export async function checkRights({ files }: Sight, variant: Variant): Promise<readonly Finding[]> {
  const status = await textOf(files, '/proc/self/status');
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status ?? '')?.[1];
  if (status === undefined || capabilities === undefined)
    return [unseen('rights', 'our rights', 'no /proc/self/status')];
  const uid = /^Uid:\s*(\d+)/m.exec(status)?.[1] ?? 'unknown';
  const has = (bit: bigint) => ((BigInt(`0x${capabilities}`) >> bit) & 1n) === 1n;
  const isConfined = /^NoNewPrivs:\s*1$/m.test(status);
  const what = `user ${uid}, ${has(netAdmin) ? 'with' : 'without'} CAP_NET_ADMIN, ${has(netRaw) ? 'with' : 'without'} CAP_NET_RAW${isConfined ? ', no_new_privs' : ''}`;
  const show = 'grep -E "Uid|CapEff|NoNewPrivs" /proc/self/status';
  if (!has(netAdmin)) {
    const means =
      'apply, run and cleanup cannot read or write rules with these rights; much of what follows could not be seen';
    return [{ code: 'rights', level: 'warning', what, means, do: 'run as root, or give CAP_NET_ADMIN', show }];
  }
  if (variant === 'legacy' && !has(netRaw)) {
    const means = 'the legacy variant of iptables also needs CAP_NET_RAW';
    return [{ code: 'rights', level: 'problem', what, means, do: 'give CAP_NET_RAW too', show }];
  }
  return [fine('rights', what, 'enough to read and write rules')];
}

/** The lock that all users of the legacy variant on this node must share. */
export async function checkLock({ files, env }: Sight, variant: Variant): Promise<readonly Finding[]> {
  const code = 'xtables-lock';
  const path = env['XTABLES_LOCKFILE'] ?? '/run/xtables.lock';
  if (variant !== 'legacy') return [fine(code, `${path} is not used`, 'only the legacy variant of iptables takes it')];
  const refusal = await writeRefusal(path);
  const show = `ls -l ${path}; findmnt -T ${path}`;
  if (refusal !== undefined) {
    return [
      {
        code,
        level: 'problem',
        what: `${path} cannot be opened for writing: ${refusal}`,
        means: 'every write of the legacy variant fails',
        do: `mount the host's ${path} into the container (hostPath, type FileOrCreate)`,
        show,
      },
    ];
  }
  if ((await isContainer({ env, files })) && !(await isMounted(files, path))) {
    return [
      {
        code,
        level: 'problem',
        what: `we run in a container, and ${path} is its own`,
        means: 'we and the programs of the host do not wait for each other: now and then a write fails or is lost',
        do: `mount the host's ${path} into the container (hostPath, type FileOrCreate)`,
        show,
      },
    ];
  }
  const holder = await lockHolder(path);
  const held = holder === undefined ? 'nobody holds it' : `${holder.name} (pid ${holder.pid}) holds it now`;
  return [fine(code, `${path} can be written; ${held}`)];
}

/** Why a file cannot be written or made; absent when it can. */
async function writeRefusal(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.W_OK);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return (error as Error).message;
  }
  return access(dirname(path), constants.W_OK).then(
    () => undefined,
    (error: unknown) => (error as Error).message,
  );
}

async function isContainer({ env, files }: Pick<Sight, 'env' | 'files'>): Promise<boolean> {
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined) return true;
  const marks = await Promise.all(['/.dockerenv', '/run/.containerenv'].map((path) => textOf(files, path)));
  return marks.some((text) => text !== undefined);
}

/** Whether the path, or the directory it is in, comes from outside the container. */
async function isMounted(files: Sight['files'], path: string): Promise<boolean> {
  const mounts = (await textOf(files, '/proc/self/mountinfo')) ?? '';
  const points = mounts.split('\n').map((line) => line.split(' ')[4] ?? '');
  return points.includes(path) || points.includes(dirname(path));
}
