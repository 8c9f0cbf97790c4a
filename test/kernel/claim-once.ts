// A process of its own that claims the runtime directory given as its argument, says so, and stays.
import { openHost } from '../../src/kernel/host.ts';
import { claimInstance } from '../../src/kernel/instance-lock.ts';

const host = await openHost({ runtimeDirectory: process.argv[2] ?? '' });
const claim = await claimInstance(host, () => undefined);
console.log(claim.isOurs);
setInterval(() => undefined, 1_000);
