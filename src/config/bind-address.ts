import { addressAndPort, parseAddress } from '../source/address.ts';

/** An address and port to listen on. */
export interface BindAddress {
  /** Canonical, without brackets. */
  readonly address: string;
  readonly port: number;
}

/** Reads `IP:port` or `[IP]:port` with a port from 1 to 65535. */
export function parseBindAddress(text: string): BindAddress | undefined {
  const match = /^(?:\[([^[\]]+)\]|([^[\]:]+)):([0-9]{1,5})$/.exec(text);
  const address = parseAddress(match?.[1] ?? match?.[2] ?? '');
  const port = Number(match?.[3]);
  return address !== undefined && port >= 1 && port <= 65535 ? { address: address.text, port } : undefined;
}

/** Adds the port to an IP that has none; everything else stays as it is. */
export function withPort(text: string, port: number): string {
  const address = parseAddress(text);
  return address === undefined ? text : addressAndPort(address.text, port);
}
