/** RFC 3339 in local time with a fraction without trailing zeros, as kube-proxy prints times. */
export function rfc3339(date: Date): string {
  const offsetMinutes = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offsetMinutes * 60_000).toISOString();
  const time = local.slice(0, -1).replace(/\.?0+$/, '');
  if (offsetMinutes === 0) return `${time}Z`;
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const absolute = Math.abs(offsetMinutes);
  return `${time}${offsetMinutes < 0 ? '-' : '+'}${two(absolute / 60)}:${two(absolute % 60)}`;
}
