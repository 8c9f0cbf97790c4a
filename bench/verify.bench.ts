import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manyServices } from '../test/support/state.ts';
import { builtProgram } from '../test/support/program.ts';
import { ratioRow } from './table.ts';
import type { Row } from './table.ts';

const words = ['--node-addresses=172.18.0.11', '--cluster-cidr=10.244.0.0/16', '--hostname-override=node-1'];

/** The proof that both modes treat every packet alike, from manifests to the answer, as a whole process. */
export function verifyRows(): Row[] {
  const small = verify(250);
  const large = verify(1_000);
  return [
    {
      what: `verify of 1,000 Services × 3: ${large.packets} packets through both rulesets`,
      figure: `${(large.ms / 1000).toFixed(1)} s`,
      bar: '≤ 10 s',
      holds: large.ms <= 10_000,
    },
    ratioRow(
      'the same, per packet, against 250 Services',
      large.ms / large.packets / (small.ms / small.packets),
      1.5,
      'grows with the packets',
    ),
  ];
}

function verify(count: number): { readonly ms: number; readonly packets: number } {
  const directory = mkdtempSync(join(tmpdir(), 'pw-bench-'));
  try {
    const { services, slices } = manyServices(count, 3);
    const items = [
      ...services.map((one) => ({ apiVersion: 'v1', kind: 'Service', ...one })),
      ...[...slices.values()]
        .flat()
        .map((one) => ({ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', ...one })),
    ];
    const file = join(directory, 'state.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const start = performance.now();
    const result = spawnSync(process.execPath, [builtProgram(), 'verify', '-f', file, '-o', 'json', ...words], {
      encoding: 'utf8',
      maxBuffer: 2 ** 30,
    });
    const ms = performance.now() - start;
    if (result.status !== 0) throw new Error(`verify: exit code ${String(result.status)}\n${result.stderr}`);
    return { ms, packets: (JSON.parse(result.stdout) as { packets: number }).packets };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
