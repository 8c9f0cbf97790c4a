import { addressAndPort, addressKind, parseAddress } from '../source/address.ts';
import type { EndpointSlice, IPFamily, SliceEndpoint, SlicePort } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';
import type { Endpoint, Protocol } from './model.ts';
import { isPort, isProtocol, printable } from './unresolved-port.ts';

/** The endpoints of one Service for one family, by `endpointsKey`, each list sorted by `Endpoint.key`. */
export interface ServiceEndpoints {
  readonly byPort: ReadonlyMap<string, readonly Endpoint[]>;
  readonly warnings: readonly Warning[];
}

const noWarnings: readonly Warning[] = [];

/** Shared by all endpoints without hints, which are nearly all. */
const noNames: readonly string[] = [];

/** Service port and slice port meet on name and protocol. */
export function endpointsKey(portName: string, protocol: Protocol): string {
  return `${portName}/${protocol}`;
}

type Warn = (field: string, reason: string, message: string) => void;

/** Reads a Service's slices. What cannot be used is left out with a warning; the rest is served. */
export function serviceEndpoints(
  slices: readonly EndpointSlice[],
  family: IPFamily,
  nodeName: string,
): ServiceEndpoints {
  const warnings: Warning[] = [];
  const found = new Map<string, Map<string, Endpoint>>();
  for (const slice of slices.toSorted(bySliceName)) {
    if (slice.addressType !== family) continue;
    const object = `EndpointSlice ${slice.metadata.namespace ?? ''}/${printable(slice.metadata.name)}`;
    const warn: Warn = (field, reason, message) => warnings.push({ object, field, reason, message });
    const addresses = (slice.endpoints ?? []).map((endpoint, index) =>
      usableAddress(endpoint, family, `endpoints[${index}]`, warn),
    );
    for (const [index, port] of (slice.ports ?? []).entries()) {
      const target = targetOf(port, `ports[${index}]`, warn);
      if (target === undefined) continue;
      const endpoints = found.get(target.key) ?? new Map<string, Endpoint>();
      found.set(target.key, endpoints);
      for (const [position, endpoint] of (slice.endpoints ?? []).entries()) {
        const address = addresses[position];
        if (address !== undefined) keep(endpoints, endpointOf(endpoint, address, target.port, nodeName));
      }
    }
  }
  const byPort = new Map<string, readonly Endpoint[]>();
  for (const [key, endpoints] of found) byPort.set(key, [...endpoints.values()].toSorted(byKey));
  return { byPort, warnings: warnings.length === 0 ? noWarnings : warnings };
}

/** The order of endpoints in every list: by the bytes of `address:port`. */
export function byKey(left: Endpoint, right: Endpoint): number {
  return left.key < right.key ? -1 : left.key > right.key ? 1 : 0;
}

// Which of two equal endpoints counts depends on the order of the slices, so that order is fixed.
function bySliceName(left: EndpointSlice, right: EndpointSlice): number {
  return left.metadata.name < right.metadata.name ? -1 : left.metadata.name > right.metadata.name ? 1 : 0;
}

/** An endpoint that runs beats one that terminates; of several that run the last counts. */
function keep(endpoints: Map<string, Endpoint>, endpoint: Endpoint): void {
  if (!endpoint.isTerminating || !endpoints.has(endpoint.key)) endpoints.set(endpoint.key, endpoint);
}

function targetOf(port: SlicePort, field: string, warn: Warn): { key: string; port: number } | undefined {
  // A missing name is the API's default, an empty name; a missing protocol is TCP.
  const { name = '', protocol, port: number } = port;
  if (name === null) {
    warn(`${field}.name`, 'MissingPortName', 'a port without a name serves no Service; it is left out');
    return undefined;
  }
  if (!isProtocol(protocol ?? 'TCP')) {
    warn(
      `${field}.protocol`,
      'UnsupportedProtocol',
      `${printable(protocol ?? '')} is not TCP, UDP or SCTP; the port is left out`,
    );
    return undefined;
  }
  if (typeof number !== 'number' || !isPort(number)) {
    const seen = number === undefined || number === null ? 'no number' : String(number);
    warn(`${field}.port`, 'InvalidPort', `${seen} is not a port from 1 to 65535; the port is left out`);
    return undefined;
  }
  return { key: endpointsKey(name, (protocol ?? 'TCP') as Protocol), port: number };
}

function usableAddress(endpoint: SliceEndpoint, family: IPFamily, field: string, warn: Warn): string | undefined {
  const text = endpoint.addresses?.[0];
  if (text === undefined) {
    warn(`${field}.addresses`, 'NoAddress', 'the endpoint has no address; it is left out');
    return undefined;
  }
  const address = parseAddress(text);
  if (address?.family !== family) {
    warn(
      `${field}.addresses[0]`,
      'InvalidAddress',
      `${printable(text)} is not an ${family} address; the endpoint is left out`,
    );
    return undefined;
  }
  const kind = addressKind(address.text);
  if (kind !== 'ordinary') {
    const why = `${address.text} is a ${kind} address, which must not receive traffic of a Service`;
    warn(`${field}.addresses[0]`, 'UnusableAddress', `${why}; the endpoint is left out`);
    return undefined;
  }
  if (family === 'IPv4' && address.text !== text) {
    warn(
      `${field}.addresses[0]`,
      'RewrittenAddress',
      `${printable(text)} is read as ${address.text}, as Kubernetes does`,
    );
  }
  return address.text;
}

function endpointOf(endpoint: SliceEndpoint, address: string, port: number, thisNode: string): Endpoint {
  const { conditions, hints, nodeName, targetRef } = endpoint;
  return {
    address,
    port,
    key: addressAndPort(address, port),
    isLocal: thisNode !== '' && nodeName === thisNode,
    isReady: conditions?.ready ?? true,
    isServing: conditions?.serving ?? true,
    isTerminating: conditions?.terminating ?? false,
    zoneHints: hints?.forZones?.map((zone) => zone.name) ?? noNames,
    nodeHints: hints?.forNodes?.map((node) => node.name) ?? noNames,
    ...(typeof nodeName === 'string' ? { nodeName } : {}),
    ...(targetRef?.kind === 'Pod' && targetRef.name !== undefined
      ? { pod: `${targetRef.namespace ?? ''}/${targetRef.name}` }
      : {}),
  };
}
