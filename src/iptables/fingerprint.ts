/** Dates, and the packets that the kernel's own chains have counted. */
const changesByItself = /^(?:# (?:Generated|Completed) .*|:\S+ [A-Z]+ \[\d+:\d+\])$/gm;

/** Lines of `iptables-save` without what is another each time. */
export function lastingLines(lines: string): string {
  return lines.replace(changesByItself, (line) => (line.startsWith(':') ? line.slice(0, line.lastIndexOf(' ')) : ''));
}
