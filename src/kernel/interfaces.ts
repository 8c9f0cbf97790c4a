import { networkInterfaces } from 'node:os';
import { CommandError } from './errors.ts';
import type { Run } from './run.ts';
import type { IpFamily } from './iptables-tools.ts';

/** An address of this host. */
export interface HostAddress {
  readonly interfaceName: string;
  readonly family: IpFamily;
  /** As the kernel prints it: IPv6 in its canonical short form, no zone. */
  readonly address: string;
  readonly prefixLength: number;
}

/**
 * Every address of every interface, whatever its state, sorted by interface and address. Where `ip` is missing or too
 * old: those that the system library tells, which leaves out interfaces that are down. Throws CommandError when `ip` is
 * there and did not come to its end.
 */
export async function hostAddresses(run: Run): Promise<readonly HostAddress[]> {
  const result = await run('ip', ['-j', 'address', 'show']);
  if (!result.isMissing && (result.exitCode === undefined || result.isTruncated)) {
    throw new CommandError(result, 'reading the addresses of this host with ip');
  }
  const addresses = result.exitCode === 0 ? parseAddresses(result.stdout) : libraryAddresses();
  return addresses.toSorted((a, b) => compare(a.interfaceName, b.interfaceName) || compare(a.address, b.address));
}

/** What we use of the output of `ip -j address`. */
interface Link {
  readonly ifname?: string;
  readonly addr_info?: readonly { readonly family?: string; readonly local?: string; readonly prefixlen?: number }[];
}

function parseAddresses(json: string): readonly HostAddress[] {
  // `ip -j` prints nothing at all when there is nothing.
  const links = JSON.parse(json.trim() === '' ? '[]' : json) as readonly Link[];
  return links.flatMap(({ ifname = '', addr_info = [] }) =>
    addr_info.flatMap(({ family, local, prefixlen = 0 }): HostAddress[] => {
      if (local === undefined || (family !== 'inet' && family !== 'inet6')) return [];
      const ipFamily = family === 'inet' ? 'IPv4' : 'IPv6';
      return [{ interfaceName: ifname, family: ipFamily, address: local, prefixLength: prefixlen }];
    }),
  );
}

/** What the system library tells without running a tool: the addresses of interfaces that are up. */
export function libraryAddresses(): readonly HostAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, infos = []]) =>
    infos.map(({ address, family, cidr }) => ({
      interfaceName,
      family,
      address: address.replace(/%.*$/, ''),
      prefixLength: Number(cidr?.split('/')[1] ?? 0),
    })),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
