import { addressKind, parseAddress, parseCidr } from '../address.ts';
import type { Cause } from '../problem.ts';
import { invalid } from './field-error.ts';

/**
 * An address of a new object. Stricter than what stored objects may hold: spellings that programs read differently
 * (`010.0.0.9`, `::ffff:10.0.0.9`) are refused, as Kubernetes does from 1.36 on.
 */
export function addressCauses(field: string, text: string): Cause[] {
  const address = parseAddress(text);
  if (address === undefined) {
    return [invalid(field, text, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
  }
  return strictCauses(field, text, address.family === 'IPv4');
}

/** An address range of a new object. */
export function cidrCauses(field: string, text: string): Cause[] {
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    return [invalid(field, text, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];
  }
  const [address = '', length = ''] = text.split('/');
  const isMapped = cidr.family === 'IPv4' && address.includes(':');
  if (hasLeadingZeros(address) || /^0[0-9]/.test(length)) {
    return [invalid(field, text, 'must not have leading 0s in IP or prefix length')];
  }
  if (isMapped) return [invalid(field, text, 'must not have an IPv4-mapped IPv6 address')];
  if (parseAddress(address)?.text === cidr.address) return [];
  return [invalid(field, text, 'must not have bits set beyond the prefix length')];
}

/** An address of one family, as an EndpointSlice holds. */
export function familyAddressCauses(field: string, text: string, family: 'IPv4' | 'IPv6'): Cause[] {
  const address = parseAddress(text);
  if (address?.family !== family) return [invalid(field, text, `must be a valid ${family} address`)];
  return strictCauses(field, text, family === 'IPv4');
}

/** Addresses that no traffic may be sent to. The text must be an address. */
export function specialAddressCauses(field: string, text: string): Cause[] {
  const canonical = parseAddress(text)?.text ?? '';
  switch (addressKind(canonical)) {
    case 'unspecified':
      return [invalid(field, text, `may not be unspecified (${text})`)];
    case 'loopback':
      return [invalid(field, text, 'may not be in the loopback range (127.0.0.0/8, ::1/128)')];
    case 'link-local':
      return [invalid(field, text, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)')];
    case 'multicast':
      return isLinkLocalMulticast(canonical)
        ? [invalid(field, text, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)')]
        : [];
    case 'broadcast':
    case 'ordinary':
      return [];
  }
}

function strictCauses(field: string, text: string, isIPv4: boolean): Cause[] {
  if (hasLeadingZeros(text)) return [invalid(field, text, 'must not have leading 0s')];
  return isIPv4 && text.includes(':') ? [invalid(field, text, 'must not be an IPv4-mapped IPv6 address')] : [];
}

/** In a dotted part, where some programs would read octal; or groups of more than four digits. */
function hasLeadingZeros(text: string): boolean {
  const dotted = text.slice(text.lastIndexOf(':') + 1);
  return (dotted.includes('.') && /(?:^|\.)0[0-9]/.test(dotted)) || /[0-9a-fA-F]{5}/.test(text);
}

function isLinkLocalMulticast(canonical: string): boolean {
  return canonical.startsWith('224.0.0.') || /^ff[0-9a-f]2:/.test(canonical);
}
