import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { toolName } from '../../src/kernel/iptables-tools.ts';
import { createNamespace } from '../support/namespace.ts';
import type { Namespace } from '../support/namespace.ts';
import { builtProgram } from '../support/program.ts';

const kills = 50;
const count = 120;

/** Two states that have no rule of a Service in common. */
function manifests(kind: 'old' | 'new'): string {
  const digit = kind === 'old' ? 1 : 2;
  return Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: `${kind}-${index}` },
          spec: { clusterIP: `10.96.${digit}.${index + 1}`, ports: [{ port: 80 }] },
        },
        // Every third has no endpoint and is refused in the filter table.
        ...(index % 3 === 0
          ? []
          : [
              {
                apiVersion: 'discovery.k8s.io/v1',
                kind: 'EndpointSlice',
                metadata: { name: `${kind}-${index}`, labels: { 'kubernetes.io/service-name': `${kind}-${index}` } },
                addressType: 'IPv4',
                ports: [{ name: '', port: 80 }],
                endpoints: [{ addresses: [`10.244.${digit}.${index + 1}`] }],
              },
            ]),
      ],
    }),
  ).join('\n---\n');
}

for (const variant of ['nft', 'legacy'] as const) {
  describe(`apply on the ${variant} variant, killed at ${kills} random moments`, function () {
    this.timeout(240_000);
    let namespace: Namespace;
    let directory: string;

    before(async () => {
      namespace = await createNamespace('kill');
      directory = await mkdtemp(join(tmpdir(), 'pw-kill-'));
      for (const kind of ['old', 'new'] as const) await writeFile(join(directory, `${kind}.yaml`), manifests(kind));
    });

    after(async () => {
      await namespace.remove();
      await rm(directory, { recursive: true, force: true });
    });

    const words = (kind: string) => [
      builtProgram(),
      'apply',
      '-f',
      join(directory, `${kind}.yaml`),
      '--ip-family=IPv4',
      `--iptables-variant=${variant}`,
    ];
    const environment = () => ({ ...process.env, ...namespace.env, PORTWRIGHT_RUNTIME_DIR: join(directory, 'run') });

    async function apply(kind: string, killAfterMs?: number): Promise<number> {
      const started = performance.now();
      const [command = '', ...args] = [...namespace.prefix, process.execPath, ...words(kind)];
      const child = spawn(command, args, { env: environment(), stdio: 'ignore' });
      const ended = new Promise<void>((resolve) =>
        child.once('close', () => {
          resolve();
        }),
      );
      if (killAfterMs !== undefined) {
        await Promise.race([sleep(killAfterMs), ended]);
        child.kill('SIGKILL');
      }
      await ended;
      return performance.now() - started;
    }

    /** What traffic can reach in each table: which of the two states its rules are of. */
    async function kinds(): Promise<Map<string, Set<string>>> {
      const saved = await namespace.mustExec(toolName('IPv4', variant, 'save'));
      return new Map(
        ['filter', 'nat'].map((table) => {
          const text = saved.split(`*${table}\n`)[1]?.split('COMMIT')[0] ?? '';
          const dispatch = text.split('\n').filter((line) => /^-A KUBE-(?:SERVICES|EXTERNAL-SERVICES) /.test(line));
          const found = dispatch.flatMap((line) => /"default\/(old|new)-/.exec(line)?.[1] ?? []);
          // What a rule leads to must be there too.
          for (const [, chain] of text.matchAll(/-j (KUBE-SVC-\w+)/g)) expect(text).to.include(`-A ${chain ?? ''} `);
          return [table, new Set(found)];
        }),
      );
    }

    it('leaves each table wholly old or wholly new, and the next apply converges', async () => {
      const outcomes = new Map<string, number>();
      await apply('old');
      const usualMs = await apply('new');
      for (let kill = 0; kill < kills; kill++) {
        const kind = kill % 2 === 0 ? 'old' : 'new';
        const other = kind === 'old' ? 'new' : 'old';
        await apply(other);
        await apply(kind, usualMs * Math.random());
        // The tool that the killed process had started ends with it.
        await sleep(20);
        const tables = await kinds();
        // New refusals are added before nat changes and old ones go after: only filter may hold both, and harmlessly.
        const nat = [...(tables.get('nat') ?? [])];
        expect(nat, 'nat').to.have.lengthOf(1);
        const outcome = `${nat[0] === kind ? 'new' : 'old'} nat, ${tables.get('filter')?.size ?? 0} kinds in filter`;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      await apply('new');
      expect(Object.fromEntries(await kinds())).to.deep.equal({ filter: new Set(['new']), nat: new Set(['new']) });
      expect(outcomes.size, JSON.stringify([...outcomes])).to.be.greaterThan(1);
    });
  });
}
