import { createHash } from 'node:crypto';
import { servicePortName } from '../model/model.ts';
import type { ServicePort } from '../model/model.ts';

/** Chains that hold rules for one service port. A name has at most 25 of the 28 characters there are. */
export interface ServicePortChains {
  /** Cluster policy: any endpoint. */
  readonly cluster: string;
  /** Local policy: the endpoints on this node. */
  readonly local: string;
  readonly external: string;
  readonly firewall: string;
  /** By `Endpoint.key`. */
  readonly endpoints: ReadonlyMap<string, string>;
}

/** Beginnings of the names of chains that come and go with Services. */
export const servicePortChainPrefixes = ['KUBE-SVC-', 'KUBE-SVL-', 'KUBE-EXT-', 'KUBE-FW-', 'KUBE-SEP-'] as const;

/** The names of all chains that a service port may have, whether it has them or not. */
export function servicePortChains(port: ServicePort): ServicePortChains {
  const identity = servicePortName(port) + port.protocol.toLowerCase();
  const hash = shortHash(identity);
  const endpoints = new Map<string, string>();
  for (const { key } of port.reachableEndpoints) endpoints.set(key, `KUBE-SEP-${shortHash(identity + key)}`);
  return {
    cluster: `KUBE-SVC-${hash}`,
    local: `KUBE-SVL-${hash}`,
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
    endpoints,
  };
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The first 16 characters of the RFC 4648 base32 of the SHA-256: 80 bits. */
function shortHash(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  let result = '';
  for (let start = 0; start < 10; start += 5) {
    // 40 bits at a time make eight characters; a double holds them exactly.
    let bits = digest.readUIntBE(start, 5);
    let chunk = '';
    for (let index = 0; index < 8; index++) {
      chunk = (base32[bits % 32] ?? '') + chunk;
      bits = Math.floor(bits / 32);
    }
    result += chunk;
  }
  return result;
}
