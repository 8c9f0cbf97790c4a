import type { Files } from '../kernel/files.ts';
import { listeners } from '../kernel/listeners.ts';
import type { FindOwners, Listener } from '../kernel/listeners.ts';
import { ephemeralPorts } from '../kernel/port-ranges.ts';
import type { EphemeralPorts } from '../kernel/port-ranges.ts';

/** What on a host uses ports beside the proxy's rules. */
export interface HostPorts {
  readonly listeners: readonly Listener[];
  /** Absent when the kernel does not tell. */
  readonly ephemeral?: EphemeralPorts;
}

/** Never throws: what cannot be read counts as none. */
export async function hostPorts(files: Pick<Files, 'read'>, findOwners?: FindOwners): Promise<HostPorts> {
  const ephemeral = await ephemeralPorts(files);
  const found = await listeners(files, () => true, findOwners);
  return { listeners: found, ...(ephemeral === undefined ? {} : { ephemeral }) };
}
