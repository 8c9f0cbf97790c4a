import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { livePrograms } from '../../src/commands/explain/programs.ts';
import { openHost } from '../../src/kernel/host.ts';
import type { Host } from '../../src/kernel/host.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import type { Program } from '../../src/ruleset/walk-program.ts';
import { walk } from '../../src/ruleset/walk.ts';
import type { Flow } from '../packets/flow.ts';
import { judgeFlows } from '../packets/judge.ts';
import { clearRules, loadRecorded } from '../packets/recorded-rules.ts';
import type { Writer } from '../packets/recorded-rules.ts';
import { readCase } from '../packets/rules-case.ts';
import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { flowsOf, inWords, packetOf, recordedHost } from './flows.ts';
import { createChance, randomIptables, randomNftables } from './walk-random-rules.ts';

const rulesets = 12;
const clusters = ['nodeport', 'nodeport-local-policy', 'clusterip-two-endpoints', 'loadbalancer'];

/** What the walker says of the flows of a case that no chance decides and that go to one Service port by TCP. */
function predicted(name: string, programs: readonly Program[]): readonly Flow[] {
  return flowsOf(name).flatMap((flow): readonly Flow[] => {
    if (flow.protocol !== 'tcp' || flow.source.includes(':')) return [];
    const outcome = outcomeOf(walk(programs, packetOf(flow), recordedHost()));
    expect(outcome.uncertain, JSON.stringify(flow)).to.be.false;
    if (outcome.others.length > 0) return [];
    const { verdict, endpoints = {}, affinity } = inWords(outcome);
    const expectation =
      verdict === 'endpoint'
        ? { verdict, endpoints: new Map(Object.entries(endpoints)), hasAffinity: affinity === true }
        : { verdict };
    return [{ ...flow, expect: expectation as Flow['expect'] }];
  });
}

describe('the walker against the kernel', function () {
  this.timeout(300_000);
  let lab: Lab;
  let host: Host;
  let directory: string;

  before(async () => {
    lab = await createLab();
    directory = await mkdtemp(join(tmpdir(), 'pw-walk-'));
    const [tool = '', ...args] = lab.node.prefix;
    host = await openHost({ runtimeDirectory: directory, prefix: [[tool, ...args]], env: lab.node.env });
  });
  after(async () => {
    await rm(directory, { recursive: true, force: true });
    await lab.remove();
  });

  const load = async (tool: readonly string[], text: string) => {
    const path = join(directory, 'admin.rules');
    await writeFile(path, text);
    await lab.node.mustExec(tool[0] ?? '', ...tool.slice(1), path);
  };

  for (const writer of ['iptables-nft', 'iptables-legacy', 'nftables'] as const satisfies readonly Writer[]) {
    for (let seed = 1; seed <= rulesets; seed++) {
      it(`${writer}: packets meet what it says among foreign rules of seed ${seed}`, async () => {
        const chance = createChance(seed);
        const name = chance.of(clusters);
        const found = readCase(name);
        await lab.listen(found.listeners);
        await clearRules(lab);
        await lab.allowLocalhostNodePorts(found.hasLocalhostNodePorts);
        await loadRecorded(lab, found, writer);
        const variant = writer === 'iptables-legacy' ? 'legacy' : 'nft';
        const isNative = writer === 'nftables' || chance.below(3) === 0;
        if (isNative) await load(['nft', '-f'], randomNftables(chance));
        if (!isNative || chance.below(2) === 0) {
          await load([`iptables-${variant}-restore`, '--noflush'], randomIptables(chance));
        }
        const flows = predicted(name, await livePrograms(host, ['IPv4', 'IPv6']));
        expect(flows).to.have.length.above(5);
        expect(await judgeFlows({ lab, forgetClients: lab.forgetClients }, flows)).to.deep.equal([]);
      });
    }
  }
});
