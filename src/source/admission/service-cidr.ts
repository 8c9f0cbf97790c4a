import { parseCidr } from '../address.ts';
import type { ServiceCIDR } from '../objects.ts';
import type { Cause } from '../problem.ts';
import { cidrCauses } from './address-rules.ts';
import { invalid, required } from './field-error.ts';
import { dnsSubdomainErrors } from './names.ts';
import { objectMetaCauses } from './object-meta.ts';

/** What the API server checks about a new ServiceCIDR. */
export function serviceCIDRCauses({ metadata, spec }: ServiceCIDR): Cause[] {
  const field = 'spec.cidrs';
  const cidrs = spec?.cidrs ?? [];
  const families = cidrs.map((cidr) => parseCidr(cidr)?.family);
  const isOneFamily = cidrs.length === 2 && families[0] !== undefined && families[0] === families[1];
  return [
    ...objectMetaCauses(metadata, dnsSubdomainErrors, 'cluster'),
    ...(cidrs.length === 0 ? [required(field, 'at least one CIDR required')] : []),
    ...(cidrs.length > 2 ? [invalid(field, cidrs, 'may only hold up to 2 values')] : []),
    ...(isOneFamily
      ? [
          invalid(
            field,
            cidrs,
            'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
          ),
        ]
      : []),
    ...cidrs.flatMap((cidr, index) => cidrCauses(`${field}[${index}]`, cidr)),
  ];
}
