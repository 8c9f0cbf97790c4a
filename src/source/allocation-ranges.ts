import { addressNumber, parseCidr } from './address.ts';
import type { NumberRange } from './allocation-pool.ts';

/**
 * The node ports with their static band: between 16 and 128 ports, a 32nd of the range
 * (https://kubernetes.io/blog/2023/05/11/nodeport-dynamic-and-static-allocation/).
 */
export function nodePortNumbers({ first, last }: { readonly first: number; readonly last: number }): NumberRange {
  const size = last - first + 1;
  return { first: BigInt(first), size: BigInt(size), staticSize: staticSizeOf(BigInt(size), 32n, 128n) };
}

/**
 * The usable addresses of a Service range with their static band: between 16 and 256 addresses, a 16th of the range
 * (https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/). The network address is never
 * given out, nor the broadcast address of an IPv4 range. Undefined for what is no range.
 */
export function clusterIPNumbers(range: string): NumberRange | undefined {
  const cidr = parseCidr(range);
  if (cidr === undefined) return undefined;
  const all = 1n << BigInt((cidr.family === 'IPv4' ? 32 : 128) - cidr.prefixLength);
  const usable = all - (cidr.family === 'IPv4' ? 2n : 1n);
  const size = usable > 0n ? usable : 0n;
  return { first: addressNumber(cidr.address) + 1n, size, staticSize: staticSizeOf(size, 16n, 256n) };
}

function staticSizeOf(size: bigint, divisor: bigint, max: bigint): bigint {
  const min = 16n;
  if (size <= min) return 0n;
  const part = size / divisor;
  return part < min ? min : part > max ? max : part;
}
