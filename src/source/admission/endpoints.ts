import type { EndpointAddress, EndpointSubset, Endpoints } from '../endpoint-controller.ts';
import type { Cause } from '../problem.ts';
import { addressCauses, specialAddressCauses } from './address-rules.ts';
import { invalid, notSupported, required } from './field-error.ts';
import { dnsLabelErrors, dnsSubdomainErrors, portNumberErrors } from './names.ts';
import { objectMetaCauses } from './object-meta.ts';
import { protocols } from './service-ports.ts';

/** Fills in what the API server fills in while it reads an Endpoints object, and what Go has for absent fields. */
export function endpointsWithDefaults({ metadata, subsets }: Endpoints): Endpoints {
  const address = (given: Partial<EndpointAddress>): EndpointAddress => ({ ip: '', ...given });
  const filled = (subsets ?? []).map(({ addresses, notReadyAddresses, ports }) => ({
    addresses: (addresses ?? []).map(address),
    notReadyAddresses: (notReadyAddresses ?? []).map(address),
    ports: (ports ?? []).map((port: Partial<EndpointPort>) => ({ port: 0, protocol: 'TCP', ...port })),
  }));
  return { metadata, subsets: filled };
}

/** What the API server checks about a new Endpoints object, defaults filled in. */
export function endpointsCauses(endpoints: Endpoints): Cause[] {
  return [
    ...objectMetaCauses(endpoints.metadata, dnsSubdomainErrors),
    ...(endpoints.subsets ?? []).flatMap((subset, index) => subsetCauses(subset, `subsets[${index}]`)),
  ];
}

function subsetCauses(subset: EndpointSubset, field: string): Cause[] {
  const { addresses, notReadyAddresses, ports } = subset;
  const isEmpty = (addresses ?? []).length === 0 && (notReadyAddresses ?? []).length === 0;
  return [
    ...(isEmpty ? [required(field, 'must specify `addresses` or `notReadyAddresses`')] : []),
    ...(addresses ?? []).flatMap((address, index) => addressOfCauses(address, `${field}.addresses[${index}]`)),
    ...(notReadyAddresses ?? []).flatMap((address, index) =>
      addressOfCauses(address, `${field}.notReadyAddresses[${index}]`),
    ),
    ...(ports ?? []).flatMap((port, index) => portCauses(port, `${field}.ports[${index}]`, (ports ?? []).length > 1)),
  ];
}

function addressOfCauses({ ip, nodeName }: EndpointAddress, field: string): Cause[] {
  const causes = addressCauses(`${field}.ip`, ip);
  return [
    ...causes,
    ...(typeof nodeName === 'string' ? dnsSubdomainErrors(nodeName) : []).map((error) =>
      invalid(`${field}.nodeName`, nodeName, error),
    ),
    ...(causes.length > 0 ? [] : specialAddressCauses(`${field}.ip`, ip)),
  ];
}

type EndpointPort = NonNullable<EndpointSubset['ports']>[number];

function portCauses(
  { name = '', port, protocol = 'TCP' }: EndpointPort,
  field: string,
  isNameRequired: boolean,
): Cause[] {
  return [
    ...(name === '' && isNameRequired ? [required(`${field}.name`)] : []),
    ...(name === '' ? [] : dnsLabelErrors(name)).map((error) => invalid(`${field}.name`, name, error)),
    ...portNumberErrors(port).map((error) => invalid(`${field}.port`, port, error)),
    ...(protocols.includes(protocol) ? [] : [notSupported(`${field}.protocol`, protocol, protocols)]),
  ];
}
