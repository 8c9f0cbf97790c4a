import type { Commit } from '../kernel/monitor.ts';
import type { IPFamily } from '../source/objects.ts';
import type { Backend } from './backend.ts';

/** Who changed rules, as far as the kernel tells. */
export interface Writer {
  readonly pid: number;
  readonly processName: string;
}

/** Stands for objects that a commit touched and that are not told. */
export const unknownObject = '*';

const kernelFamilies: Readonly<Record<IPFamily, string>> = { IPv4: 'ip', IPv6: 'ip6' };
const iptablesTables = ['nat', 'filter'];
const builtInChains = /^(?:PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$/;

/**
 * The objects of a backend that a foreign commit may have changed, named as changes of a plan name them. Empty when
 * it is no business of ours.
 */
export function touchedObjects(commit: Commit, { mode, family }: Pick<Backend, 'mode' | 'family'>): readonly string[] {
  const touched = new Set<string>();
  for (const change of commit.changes) {
    const [, kind = '', kernelFamily = '', table = '', name = ''] = change.split(/[ \t]+/);
    if (kernelFamily !== kernelFamilies[family]) continue;
    if (mode === 'nftables') {
      if (table === 'kube-proxy')
        touched.add(kind === 'table' ? `${kernelFamily} ${table}` : `${kernelFamily} ${table} ${name}`);
    } else if (iptablesTables.includes(table)) {
      if (kind === 'table') touched.add(table);
      else if (name.startsWith('KUBE-') || builtInChains.test(name)) touched.add(`${table} ${name}`);
    }
  }
  if (commit.changeCount > commit.changes.length) touched.add(unknownObject);
  return [...touched];
}
