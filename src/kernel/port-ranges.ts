import type { Files } from './files.ts';

/** First and last port, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Where the kernel takes the ports of outgoing connections from. */
export interface EphemeralPorts extends PortRange {
  /** Inside the range, but never taken. */
  readonly reserved: readonly PortRange[];
}

/** Absent when this kernel does not tell. Never throws. */
export async function ephemeralPorts(files: Pick<Files, 'read'>): Promise<EphemeralPorts | undefined> {
  const range = await files.read('/proc/sys/net/ipv4/ip_local_port_range').catch(() => undefined);
  const [first, last] = (range ?? '').trim().split(/\s+/).map(Number);
  if (!first || !last) return undefined;
  const reserved = await files.read('/proc/sys/net/ipv4/ip_local_reserved_ports').catch(() => undefined);
  return { first, last, reserved: parseRanges(reserved ?? '') };
}

/** Whether an outgoing connection may get this port. */
export function isEphemeral({ first, last, reserved }: EphemeralPorts, port: number): boolean {
  return holds({ first, last }, port) && !reserved.some((range) => holds(range, port));
}

/** Whether a port lies in a range. */
export function holds({ first, last }: PortRange, port: number): boolean {
  return first <= port && port <= last;
}

/** `8080,9148-9150`, as the kernel prints it. */
function parseRanges(text: string): readonly PortRange[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return { first, last };
    });
}
