import { readFileSync, readdirSync } from 'node:fs';

/** Clock ticks a second, as /proc counts. */
const ticks = 100;

/** CPU seconds of a process, of its children that ended, and of those that live. */
export function cpuSeconds(pid: number): number {
  return own(pid) + childrenOf(pid).reduce((sum, child) => sum + own(child), 0);
}

/** Resident memory of one process, in MiB. */
export function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? NaN) / 1024;
}

/** Open file descriptors. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Processes whose parent this is, and their states: `Z` for a zombie. */
export function childStates(pid: number): readonly string[] {
  return childrenOf(pid).map((child) => fields(child)[0] ?? '');
}

function own(pid: number): number {
  const values = fields(pid);
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(values[index]), 0) / ticks;
}

/** What stands after the name in /proc/PID/stat: state, parent, … */
function fields(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return ['X', ...Array.from({ length: 20 }, () => '0')];
  }
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => Number(fields(child)[1]) === pid);
}
