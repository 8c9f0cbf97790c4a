import { SysctlError } from './errors.ts';
import type { Files } from './files.ts';

/** Kernel settings under /proc/sys (or /sys), named by path: `net/ipv4/conf/all/route_localnet`. */
export interface Sysctl {
  /** Without the final newline; absent when this kernel has no such setting. */
  read(setting: string): Promise<string | undefined>;
  /** Writes only when the value differs, and reads back. Says whether it wrote. Throws SysctlError. */
  ensure(setting: string, value: string): Promise<'unchanged' | 'changed'>;
}

/** With it packets to 127.0.0.0/8 may leave through other interfaces; a guard rule must stand first. */
export const routeLocalnet = 'net/ipv4/conf/all/route_localnet';

/** By the files below /proc/sys. */
export function createSysctl(files: Files): Sysctl {
  const read = async (setting: string) => (await files.read(pathOf(setting)))?.trimEnd();
  return {
    read,
    ensure: async (setting, value) => {
      const before = await readable(read, setting);
      if (before === value) return 'unchanged';
      if (before === undefined) throw missing(setting, value);
      try {
        await files.write(pathOf(setting), value);
      } catch (error) {
        throw explained(setting, value, before, (error as Error).message);
      }
      const after = await readable(read, setting);
      // Some settings are clamped or refused without an error; only the value that stands counts.
      if (after === value) return 'changed';
      throw new SysctlError(
        setting,
        'ignored',
        `${setting} stays ${String(after)} although ${value} was written; set it on the host`,
      );
    },
  };
}

function pathOf(setting: string): string {
  return setting.startsWith('/') ? setting : `/proc/sys/${setting}`;
}

async function readable(
  read: (setting: string) => Promise<string | undefined>,
  setting: string,
): Promise<string | undefined> {
  try {
    return await read(setting);
  } catch (error) {
    throw new SysctlError(setting, 'not-permitted', `cannot read ${setting}: ${(error as Error).message}`);
  }
}

function missing(setting: string, value: string): SysctlError {
  const what = `cannot set ${setting} to ${value}: this kernel or network namespace has no such setting`;
  return new SysctlError(setting, 'missing', `${what}; load the module it belongs to (nf_conntrack for net/netfilter)`);
}

function explained(setting: string, value: string, before: string, words: string): SysctlError {
  const what = `cannot set ${setting} from ${before} to ${value}: ${words}`;
  if (/EROFS|Read-only/.test(words)) {
    const advice = `${mountOf(setting)} is mounted read-only, as in an unprivileged container: set it on the host or in a privileged init container`;
    return new SysctlError(setting, 'read-only', `${what}; ${advice}`);
  }
  if (/EACCES|EPERM|Permission denied|not permitted/.test(words)) {
    return new SysctlError(setting, 'not-permitted', `${what}; ${rightFor(setting)}`);
  }
  return new SysctlError(setting, 'refused', `${what}; the kernel does not take this value here`);
}

function mountOf(setting: string): string {
  return setting.startsWith('/') ? `/${setting.split('/')[1] ?? ''}` : '/proc/sys';
}

function rightFor(setting: string): string {
  return setting.startsWith('/proc/self/')
    ? 'lowering it takes CAP_SYS_RESOURCE'
    : 'run as root with CAP_NET_ADMIN, or set it on the host';
}
