import type { ListeningSocket } from '../kernel/listening-sockets.ts';
import type { Protocol, ProxyModel } from '../model/model.ts';
import { addressAndPort, addressKind } from '../source/address.ts';

/** Where node ports of a family answer; link-local addresses do too, but nobody publishes them. */
export function nodePortAddresses(
  model: Pick<ProxyModel, 'family' | 'nodePortAddresses' | 'localhostNodePorts'>,
  hostAddresses: readonly string[],
): readonly string[] {
  if (model.nodePortAddresses !== 'all') return model.nodePortAddresses;
  const ordinary = hostAddresses.filter(
    (address) =>
      address.includes(':') === (model.family === 'IPv6') && !['loopback', 'link-local'].includes(addressKind(address)),
  );
  return [...[...new Set(ordinary)].sort(), ...(model.localhostNodePorts ? ['127.0.0.1'] : [])];
}

/** Whether a program wants the packets that a node port takes on one of these addresses. */
export function isInTheWay(
  socket: ListeningSocket,
  { protocol, nodePort }: { readonly protocol: Protocol; readonly nodePort: number },
  addresses: readonly string[],
): boolean {
  return (
    socket.port === nodePort &&
    socket.protocol === protocol &&
    // What a proxy opens itself: node ports before Kubernetes 1.24, and the answers to health checks.
    !['kube-proxy', 'portwright'].includes(socket.process?.name ?? '') &&
    addresses.some((address) => takes(socket.address, address))
  );
}

/** `nginx (pid 7) listens on 0.0.0.0:30080/TCP`. */
export function listenerText({ process, address, port, protocol }: ListeningSocket): string {
  const who = process === undefined ? 'a process of this host' : `${process.name} (pid ${process.pid})`;
  return `${who} listens on ${addressAndPort(address, port)}/${protocol}`;
}

function takes(listening: string, address: string): boolean {
  if (listening === '::') return true;
  if (listening === '0.0.0.0') return !address.includes(':');
  return listening === address || (listening.startsWith('127.') && address.startsWith('127.'));
}
