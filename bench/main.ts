import { iptablesRows } from './iptables.bench.ts';
import { table } from './table.ts';

/** Prints every figure as a table. Ratios within one run: absolute times tell more about the machine than about us. */
process.stdout.write(`## iptables mode\n\n${table(await iptablesRows())}\n`);
