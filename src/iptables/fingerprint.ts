import { createHash } from 'node:crypto';

/** Dates, and the packets that the kernel's own chains have counted. */
const changesByItself = /^(?:#.*|:\S+ [A-Z]+ (\[\d+:\d+\]))$/gm;

/** Equal for two listings that `iptables-save` printed of the same rules; a small part of the work of reading them. */
export function iptablesFingerprint(listing: string): string {
  const hash = createHash('sha256');
  let at = 0;
  for (const { index, 0: line, 1: counted = line } of listing.matchAll(changesByItself)) {
    hash.update(listing.slice(at, index + line.length - counted.length));
    at = index + line.length;
  }
  return hash.update(listing.slice(at)).digest('base64');
}
