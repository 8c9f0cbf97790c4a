import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createLab } from '../test/support/lab.ts';
import type { Lab } from '../test/support/lab.ts';
import type { Identity } from '../test/support/prober-messages.ts';
import { approve, run, step, tell } from './demo-screen.ts';
import { sharesOf, spreadTable } from './demo-spread.ts';

/*
 * The demo: a NodePort Service from its manifest to packets, what a change looks like, and a repair. Everything
 * happens in namespaces; those go away when this process ends, in whatever way.
 */

const root = join(import.meta.dirname, '..');
const connections = 1000;
const pods = ['10.244.1.11', '10.244.1.12', '10.244.2.14'];
const nodePort = { destination: '172.18.0.11', port: 30007 };

interface Tour {
  readonly lab: Lab;
  /** Portwright on the node, as a person would call it. */
  portwright(words: string, exitCode?: number): Promise<void>;
  /** Another command on the node. */
  shell(line: string): Promise<void>;
  /** Takes a file away from the manifests. */
  forget(manifest: string): void;
}

const directory = mkdtempSync(join(tmpdir(), 'pw-demo-'));
const removeDirectory = () => {
  rmSync(directory, { recursive: true, force: true });
};
process.on('exit', removeDirectory);
// Nobody reads any more (`| head`): the namespaces go away at the exit.
process.stdout.on('error', () => process.exit());
// Before the lab's own handlers, which remove the namespaces and then let the signal do its work.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, removeDirectory);
const lab = await createLab();
try {
  await show(guide(lab));
} catch (error) {
  process.stderr.write(`\ndemo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await lab.remove();
}

async function show(tour: Tour): Promise<void> {
  await showLab(tour);
  await showApply(tour);
  await showChange(tour);
  await showDrift(tour);
  await showCleanup(tour);
}

async function showLab({ lab }: Tour): Promise<void> {
  step('A lab of network namespaces');
  process.stdout.write(`
      outside            node-1 (this is where the rules go)
      172.18.0.100 ───── 172.18.0.11 ──┬── my-app-1  10.244.1.11:8080
                              │        └── my-app-2  10.244.1.12:8080
                         node-2
                         172.18.0.12 ───── my-app-3  10.244.2.14:8080

`);
  await lab.listen(pods.map((address) => ({ protocol: 'tcp', address, port: 8080 })));
  tell('Behind each address is a real server that says who it is. The Service: node port 30007 → 80 → 8080.');
}

async function showApply(tour: Tour): Promise<void> {
  step('The dry run: what would be done, and nothing is done');
  await tour.portwright('apply -f manifests --dry-run');

  step('Apply');
  await tour.portwright('apply -f manifests');

  step('The rules of the Service, as iptables lists them');
  await tour.shell('iptables-save -t nat | grep example-nodeport');

  step('Live and desired are equal');
  await tour.portwright('diff -f manifests');
  approve('the difference is empty');

  step(`${connections.toLocaleString('en')} connections from outside to 172.18.0.11:30007`);
  await showSpread(tour);
}

async function showChange(tour: Tour): Promise<void> {
  step('A pod goes away: what will change, by Service');
  tour.forget('pod-2.yaml');
  tell('my-app-2 is taken out of the manifests.');
  await tour.portwright('diff -f manifests', 1);

  step('Apply, while new connections keep coming in');
  const target = { protocol: 'tcp', source: '172.18.0.200', ...nodePort, timeoutMs: 10_000 } as const;
  const stop = await tour.lab.prober('outside').startTraffic({ targets: [target], concurrency: 4, longLived: 0 });
  await tour.portwright('apply -f manifests');
  const { attempts, failures } = await stop();
  if (failures > 0) throw new Error(`${failures} of ${attempts} connections failed while rules were applied`);
  approve(`${attempts.toLocaleString('en')} connections meanwhile, none failed`);
  await tour.lab.namespace('pod2').mustExec('ip', 'link', 'set', 'eth0', 'down');
  tell('Now my-app-2 is switched off. Again:');
  await showSpread(tour);
}

async function showDrift(tour: Tour): Promise<void> {
  step('Somebody deletes a rule by hand');
  const chain = /^:(KUBE-SVC-\S+)/m.exec(await tour.lab.node.mustExec('iptables-save', '-t', 'nat'))?.[1];
  if (chain === undefined) throw new Error('the Service has no chain');
  await tour.shell(`iptables -t nat -D ${chain} 2`);
  tell('The drift:');
  await tour.portwright('diff -f manifests', 1);

  step('Repaired by the same command that wrote it');
  await tour.portwright('apply -f manifests');
  await tour.portwright('diff -f manifests');
  await showSpread(tour);
}

async function showCleanup(tour: Tour): Promise<void> {
  step('Everything is taken away again');
  await tour.portwright('cleanup');
  const left = (await tour.lab.node.mustExec('iptables-save')).match(/^-A .*KUBE-(?!FIREWALL).*$/gm) ?? [];
  if (left.length > 0) throw new Error(`these rules stayed:\n${left.join('\n')}`);
  approve('no rule of a Service is left (KUBE-FIREWALL, which guards 127.0.0.1, stays); the namespaces go away now');
}

/** Sends connections, prints who answered, and fails when one was not answered. */
async function showSpread({ lab }: Tour): Promise<void> {
  const probe = { protocol: 'tcp', source: '172.18.0.100', ...nodePort, timeoutMs: 10_000 } as const;
  const outcomes = await lab.probe(probe, connections);
  const answers = outcomes.flatMap((outcome): readonly Identity[] => (outcome.kind === 'answer' ? [outcome.from] : []));
  const shares = sharesOf(await lab.node.mustExec('iptables-save', '-t', 'nat'));
  process.stdout.write(spreadTable(shares, answers));
  const failed = outcomes.length - answers.length;
  if (failed > 0) throw new Error(`${failed} of ${connections} connections failed`);
  approve(`${connections.toLocaleString('en')} connections, none failed`);
}

function guide(lab: Lab): Tour {
  const manifests = join(directory, 'manifests');
  cpSync(join(root, 'docs/examples/example-nodeport'), manifests, { recursive: true });
  const options = ['--hostname-override', 'node-1', '--cluster-cidr', '10.244.0.0/16', '--ip-family', 'IPv4'];
  const env = { PORTWRIGHT_RUNTIME_DIR: join(directory, 'run') };
  const main = join(root, 'dist/main.js');
  tellOnce(options);
  return {
    lab,
    portwright: (words, exitCode = 0) => {
      const given = words.split(' ').map((word) => (word === 'manifests' ? manifests : word));
      const argv = [process.execPath, main, ...given, ...(words === 'cleanup' ? [] : options)] as const;
      return run({ namespace: lab.node, line: `portwright ${words}`, argv: [...argv], env, exitCodes: [exitCode] });
    },
    shell: (line) => run({ namespace: lab.node, line, argv: ['sh', '-c', line], exitCodes: [0] }),
    forget: (manifest) => {
      rmSync(join(manifests, manifest));
    },
  };
}

function tellOnce(options: readonly string[]): void {
  process.stdout.write('\nPortwright: a NodePort Service from its manifest to packets and back\n\n');
  tell('manifests/ is a copy of docs/examples/example-nodeport/. To each command here belong the options');
  tell(options.join(' '));
}
