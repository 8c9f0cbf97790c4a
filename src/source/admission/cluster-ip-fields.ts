import { parseAddress } from '../address.ts';
import type { IPFamily, Service, ServiceSpec } from '../objects.ts';
import type { Cause } from '../problem.ts';
import { addressCauses } from './address-rules.ts';
import { duplicate, invalid, notSupported } from './field-error.ts';
import { isHeadless } from './service-defaults.ts';

const families = ['IPv4', 'IPv6'];
const familyPolicies = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];

/** What the API server checks about cluster IPs, families and family policy as given. */
export function clusterIPFieldCauses(spec: ServiceSpec): Cause[] {
  if (spec.type === 'ExternalName') return [];
  const { clusterIPs = [], ipFamilies = [], ipFamilyPolicy } = spec;
  const familyCauses = ipFamilies.flatMap((family, index) => {
    const field = `spec.ipFamilies[${index}]`;
    return [
      ...(families.includes(family) ? [] : [notSupported(field, family, families)]),
      ...(ipFamilies.indexOf(family) < index ? [duplicate(field, family)] : []),
    ];
  });
  const policyCauses =
    ipFamilyPolicy === undefined || familyPolicies.includes(ipFamilyPolicy)
      ? []
      : [notSupported('spec.ipFamilyPolicy', ipFamilyPolicy, familyPolicies)];
  const addresses = clusterIPs.flatMap((address, index) =>
    index === 0 && address === 'None' ? [] : addressCauses(`spec.clusterIPs[${index}]`, address),
  );
  const mismatches = addresses.length > 0 || isHeadless(spec) ? [] : familyMismatches(clusterIPs, ipFamilies);
  return [...familyCauses, ...policyCauses, ...addresses, ...mismatches];
}

function familyMismatches(clusterIPs: readonly string[], ipFamilies: readonly string[]): Cause[] {
  return clusterIPs.flatMap((address, index) => {
    const expected = ipFamilies[index];
    if (expected === undefined || !families.includes(expected) || parseAddress(address)?.family === expected) return [];
    const message = `expected an ${expected} value as indicated by \`ipFamilies[${index}]\``;
    return [invalid(`spec.clusterIPs[${index}]`, address, message)];
  });
}

/**
 * Settles families and family policy of a new Service as a cluster does whose Service ranges are of the given
 * families, the default one first. What speaks against it comes back as causes.
 */
export function withFamilies(
  service: Service,
  configured: readonly IPFamily[],
): { readonly service: Service; readonly causes: readonly Cause[] } {
  const { spec } = service;
  if (spec.type === 'ExternalName') return { service, causes: [] };
  const given = clusterIPFieldCauses(spec);
  if (given.length > 0) return { service, causes: given };
  const inferred = inferredFamilies(spec, configured);
  const early = [...singleStackCauses(spec), ...inferred.causes];
  if (early.length > 0) return { service, causes: early };

  const ipFamilyPolicy = spec.ipFamilyPolicy ?? (inferred.ipFamilies.length === 2 ? 'RequireDualStack' : undefined);
  if (isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0) {
    return {
      service: { ...service, spec: { ...spec, ...headlessFamilies(inferred.ipFamilies, ipFamilyPolicy, configured) } },
      causes: [],
    };
  }
  const policy = ipFamilyPolicy ?? 'SingleStack';
  const causes = configurationCauses(policy, inferred.ipFamilies, configured);
  const ipFamilies = completed(inferred.ipFamilies, policy, configured);
  return { service: { ...service, spec: { ...spec, ipFamilies, ipFamilyPolicy: policy } }, causes };
}

function singleStackCauses({ ipFamilyPolicy, clusterIPs = [], ipFamilies = [] }: ServiceSpec): Cause[] {
  if (ipFamilyPolicy !== 'SingleStack') return [];
  const message = (what: string): string =>
    `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;
  return [
    ...(clusterIPs.length === 2 ? [invalid('spec.ipFamilyPolicy', ipFamilyPolicy, message('cluster IPs'))] : []),
    ...(ipFamilies.length === 2 ? [invalid('spec.ipFamilyPolicy', ipFamilyPolicy, message('IP families'))] : []),
  ];
}

/** An address that was asked for tells its family. */
function inferredFamilies(
  { clusterIPs = [], ipFamilies = [] }: ServiceSpec,
  configured: readonly IPFamily[],
): { ipFamilies: readonly string[]; causes: Cause[] } {
  const wanted = clusterIPs.slice(ipFamilies.length).flatMap((address) => parseAddress(address)?.family ?? []);
  const causes = wanted
    .filter((family) => !configured.includes(family))
    .map((family) => {
      const index = ipFamilies.length + wanted.indexOf(family);
      return invalid(`spec.clusterIPs[${index}]`, clusterIPs, `${family} is not configured on this cluster`);
    });
  return { ipFamilies: [...ipFamilies, ...wanted], causes };
}

/** A headless Service without selector may have endpoints of any family, whatever the cluster has. */
function headlessFamilies(
  given: readonly string[],
  ipFamilyPolicy: string | undefined,
  configured: readonly IPFamily[],
): Pick<ServiceSpec, 'ipFamilies' | 'ipFamilyPolicy'> {
  const policy = ipFamilyPolicy ?? 'RequireDualStack';
  const first = given.length === 0 ? configured.slice(0, 1) : given;
  const both = policy !== 'SingleStack' && first.length === 1 ? [...first, otherFamily(first[0])] : first;
  return { ipFamilies: both, ipFamilyPolicy: policy };
}

function configurationCauses(policy: string, ipFamilies: readonly string[], configured: readonly string[]): Cause[] {
  const single = 'this cluster is not configured for dual-stack services';
  return [
    ...(policy === 'RequireDualStack' && configured.length < 2 ? [invalid('spec.ipFamilyPolicy', policy, single)] : []),
    ...ipFamilies.flatMap((family, index) =>
      configured.includes(family)
        ? []
        : [invalid(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster')],
    ),
  ];
}

function completed(given: readonly string[], policy: string, configured: readonly IPFamily[]): readonly string[] {
  const first = given.length === 0 ? configured.slice(0, 1) : given;
  const isDual = policy !== 'SingleStack' && configured.length === 2;
  return isDual && first.length === 1 ? [...first, otherFamily(first[0])] : first;
}

function otherFamily(family: string | undefined): IPFamily {
  return family === 'IPv4' ? 'IPv6' : 'IPv4';
}
