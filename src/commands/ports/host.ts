import type { Files } from '../../kernel/files.ts';
import { listeningSockets } from '../../kernel/listening-sockets.ts';
import type { ListeningSocket } from '../../kernel/listening-sockets.ts';
import { ephemeralPorts } from '../../kernel/port-ranges.ts';
import type { EphemeralPorts } from '../../kernel/port-ranges.ts';

/** What on a host uses ports beside the proxy's rules. */
export interface HostPorts {
  readonly listeners: readonly ListeningSocket[];
  /** Absent when the kernel does not tell. */
  readonly ephemeral?: EphemeralPorts;
}

/** Never throws: what cannot be read counts as none. */
export async function hostPorts(files: Pick<Files, 'read'>): Promise<HostPorts> {
  const ephemeral = await ephemeralPorts(files);
  const listeners = await listeningSockets(files);
  return { listeners, ...(ephemeral === undefined ? {} : { ephemeral }) };
}
