/** Numbers of a version, most significant first. */
export type Version = readonly number[];

/** The first version in a text such as `iptables v1.8.9 (nf_tables)` or `6.18.44-generic`; absent when there is none. */
export function parseVersion(text: string): Version | undefined {
  return /\d+(?:\.\d+)+/.exec(text)?.[0].split('.').map(Number);
}

/** Numbers that are not given count as 0. */
export function isAtLeast(version: Version, wanted: Version): boolean {
  for (const [index, number] of wanted.entries()) {
    const difference = (version[index] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
