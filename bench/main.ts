import { flowsRows } from './flows.bench.ts';
import { iptablesRows } from './iptables.bench.ts';
import { nftablesRows } from './nftables.bench.ts';
import { table } from './table.ts';
import type { Row } from './table.ts';
import { verifyRows } from './verify.bench.ts';

const parts: ReadonlyMap<string, readonly [heading: string, measure: () => readonly Row[] | Promise<readonly Row[]>]> =
  new Map([
    ['iptables', ['iptables mode', iptablesRows]],
    ['nftables', ['nftables mode, beside a table of kube-proxy’s shape', nftablesRows]],
    ['verify', ['verify', verifyRows]],
    ['flows', ['connections lost in nftables mode', flowsRows]],
  ]);
/** A quarter of an hour, or more where the machine has other work. */
const onRequest = ['flows'];

/** Prints the figures of all parts, or of those named. Ratios within one run: times tell more about the machine. */
const named = process.argv.slice(2);
let holds = true;
for (const [name, [heading, measure]] of parts) {
  if (named.length > 0 ? !named.includes(name) : onRequest.includes(name)) continue;
  const rows = await measure();
  process.stdout.write(`## ${heading}\n\n${table(rows)}\n`);
  holds &&= rows.every((row) => row.holds);
}
process.exitCode = holds ? 0 : 1;
