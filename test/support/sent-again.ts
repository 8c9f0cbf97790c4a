import type { Lab } from './lab.ts';
import type { Place } from './lab-topology.ts';

/**
 * First packets of TCP connections that a namespace sent more than once, since it began: the first was lost, or its
 * answer took more than a second.
 */
export async function packetsSentAgain(lab: Lab, place: Place): Promise<number> {
  const lines = (await lab.namespace(place).mustExec('cat', '/proc/net/netstat')).split('\n');
  const [names = [], values = []] = lines.filter((line) => line.startsWith('TcpExt:')).map((line) => line.split(' '));
  return Number(values[names.indexOf('TCPSynRetrans')]);
}
