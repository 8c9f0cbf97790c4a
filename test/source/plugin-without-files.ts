// A process of its own that starts a credential plugin when it can open no more files; prints what came of it.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { limitPlugins } from '../../src/source/kubernetes/exec-plugin.ts';

const config = new KubeConfig();
const user = { name: 'me', exec: { command: 'true' } };
config.loadFromClusterAndUser({ name: 'here', server: 'https://127.0.0.1', skipTLSVerify: true }, user);
limitPlugins(config, 10_000);
execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=60:']);
const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // Not one more.
}
const reason = await config.applyToHTTPSOptions({}).then(
  () => 'an answer',
  (error: unknown) => (error as Error).message,
);
for (const descriptor of taken) closeSync(descriptor);
// Time for an error that nobody listens for.
await sleep(100);
console.log(reason);
