import type { EndpointSlice, SliceEndpoint, SlicePort } from '../objects.ts';
import type { Cause } from '../problem.ts';
import { familyAddressCauses, specialAddressCauses } from './address-rules.ts';
import { duplicate, invalid, notSupported, required, tooMany } from './field-error.ts';
import { dnsLabelErrors, dnsSubdomainErrors, fqdnErrors, labelValueErrors, qualifiedNameErrors } from './names.ts';
import { objectMetaCauses } from './object-meta.ts';
import { protocols } from './service-ports.ts';

const addressTypes = ['FQDN', 'IPv4', 'IPv6'];
const maxEndpoints = 1000;
const maxAddresses = 100;
const maxPorts = 20_000;
const maxHints = 8;

/** Fills in what the API server fills in while it reads an EndpointSlice. */
export function sliceWithDefaults(slice: EndpointSlice): EndpointSlice {
  if (slice.ports === undefined || slice.ports === null) return slice;
  return {
    ...slice,
    ports: slice.ports.map((port) => ({ ...port, name: port.name ?? '', protocol: port.protocol ?? 'TCP' })),
  };
}

/**
 * What the API server checks about a new EndpointSlice, defaults filled in. It does not check port numbers: what
 * cannot be served is left to the model.
 */
export function endpointSliceCauses(slice: EndpointSlice): Cause[] {
  const { addressType } = slice;
  const typeCauses =
    addressType === ''
      ? [required('addressType')]
      : addressTypes.includes(addressType)
        ? []
        : [notSupported('addressType', addressType, addressTypes)];
  return [
    ...objectMetaCauses(slice.metadata, dnsSubdomainErrors),
    ...typeCauses,
    ...endpointListCauses(slice.endpoints ?? [], addressType),
    ...portListCauses(slice.ports ?? []),
  ];
}

function endpointListCauses(endpoints: readonly SliceEndpoint[], addressType: string): Cause[] {
  if (endpoints.length > maxEndpoints) return [tooMany('endpoints', endpoints.length, maxEndpoints)];
  return endpoints.flatMap((endpoint, index) => {
    const field = `endpoints[${index}]`;
    const { nodeName, hints } = endpoint;
    return [
      ...addressListCauses(endpoint.addresses ?? [], `${field}.addresses`, addressType),
      ...(typeof nodeName === 'string' ? dnsSubdomainErrors(nodeName) : []).map((error) =>
        invalid(`${field}.nodeName`, nodeName, error),
      ),
      ...hintCauses(hints?.forZones ?? [], `${field}.hints.forZones`, labelValueErrors),
      ...hintCauses(hints?.forNodes ?? [], `${field}.hints.forNodes`, dnsSubdomainErrors),
    ];
  });
}

function addressListCauses(addresses: readonly string[], field: string, addressType: string): Cause[] {
  if (addresses.length === 0) return [required(field, 'must contain at least 1 address')];
  if (addresses.length > maxAddresses) return [tooMany(field, addresses.length, maxAddresses)];
  return addresses.flatMap((address, index) => addressCauses(address, `${field}[${index}]`, addressType));
}

function addressCauses(address: string, field: string, addressType: string): Cause[] {
  if (addressType === 'FQDN') return fqdnErrors(address).map((error) => invalid(field, address, error));
  if (addressType !== 'IPv4' && addressType !== 'IPv6') return [];
  const causes = familyAddressCauses(field, address, addressType);
  return causes.length > 0 ? causes : specialAddressCauses(field, address);
}

function hintCauses(
  hints: readonly { readonly name?: string }[],
  field: string,
  errorsOf: (name: string) => readonly string[],
): Cause[] {
  if (hints.length > maxHints) return [tooMany(field, hints.length, maxHints)];
  const names = hints.map(({ name = '' }) => name);
  return names.flatMap((name, index) => [
    ...(names.indexOf(name) < index ? [duplicate(`${field}[${index}].name`, name)] : []),
    ...errorsOf(name).map((error) => invalid(`${field}[${index}].name`, name, error)),
  ]);
}

function portListCauses(ports: readonly (SlicePort & { readonly appProtocol?: string })[]): Cause[] {
  if (ports.length > maxPorts) return [tooMany('ports', ports.length, maxPorts)];
  const names = new Set<string>();
  return ports.flatMap(({ name, protocol, appProtocol }, index) => {
    const field = `ports[${index}]`;
    const text = name ?? '';
    const isRepeated = names.has(text);
    names.add(text);
    return [
      ...(text === '' ? [] : dnsLabelErrors(text)).map((error) => invalid(`${field}.name`, text, error)),
      ...(isRepeated ? [duplicate(`${field}.name`, text)] : []),
      ...(protocols.includes(protocol ?? '') ? [] : [notSupported(`${field}.protocol`, protocol ?? '', protocols)]),
      ...(appProtocol === undefined ? [] : qualifiedNameErrors(appProtocol)).map((error) =>
        invalid(`${field}.appProtocol`, appProtocol, error),
      ),
    ];
  });
}
