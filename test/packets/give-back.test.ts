import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { tableOf } from '../../src/nftables/names.ts';
import { parseNftables } from '../../src/nftables/parse.ts';
import { kubeProxyStart } from '../support/kube-proxy-start.ts';
import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { startTraffic } from '../support/traffic.ts';
import { clientMemory } from './client-memory.ts';
import type { Flow } from './flow.ts';
import { judgeFlows } from './judge.ts';
import { createOwnRules } from './own-rules.ts';
import type { OwnRules } from './own-rules.ts';
import { clearRules } from './recorded-rules.ts';
import { readCase } from './rules-case.ts';
import type { RulesCase } from './rules-case.ts';

const names = [
  'dual-stack',
  'external-ips-no-endpoints',
  'internal-policy-local-none-local',
  'loadbalancer-local-policy',
  'loadbalancer-source-ranges-with-node',
  'masquerade-all',
  'nodeport-local-policy',
  'session-affinity',
  'terminating-endpoints',
  'three-protocols-one-port',
];

describe('packets while kube-proxy and we take the table from each other', function () {
  this.timeout(120_000);
  let lab: Lab;
  let rules: OwnRules;

  before(async () => {
    lab = await createLab();
    rules = await createOwnRules(lab);
  });
  after(async () => {
    await lab.remove();
    await rules.remove();
  });
  beforeEach(() => clearRules(lab));

  const weLoad = ({ directory }: RulesCase) =>
    rules.load({ statePath: join(directory, 'state.yaml'), configPath: join(directory, 'config.yaml') }, 'nftables');

  async function kubeProxyStarts({ directory }: RulesCase): Promise<void> {
    for (const family of ['IPv4', 'IPv6'] as const) {
      const table = tableOf(family);
      const recorded = readFileSync(join(directory, family === 'IPv4' ? 'table-ip.nft' : 'table-ip6.nft'), 'utf8');
      const { exitCode, stdout } = await lab.node.exec('nft', '-s', 'list', 'table', ...table.split(' '));
      const live = parseNftables(exitCode === 0 ? stdout : '');
      const { sync, removal } = kubeProxyStart(parseNftables(recorded), live, table);
      for (const script of [sync, removal]) await lab.node.shell(`nft -f - <<'END'\n${script}\nEND`);
    }
  }

  for (const name of names) {
    it(`each Service works as with kube-proxy alone after it started on our table: ${name}`, async () => {
      const found = readCase(name);
      await lab.listen(found.listeners);
      await weLoad(found);
      await kubeProxyStarts(found);
      const flows = found.flows('nftables');
      const wrongs = await judgeFlows({ lab, forgetClients: await clientMemory(lab, 'nftables') }, flows);
      expect(wrongs).to.deep.equal([]);
    });
  }

  for (const name of ['nodeport-local-policy', 'session-affinity']) {
    it(`no connection fails, old or new, while they take turns: ${name}`, async () => {
      const found = readCase(name);
      await lab.listen(found.listeners);
      await kubeProxyStarts(found);
      const targets = found.flows('nftables').filter(isServed);
      const stop = await startTraffic(lab, targets, { longLived: 1, timeoutMs: 2_000 });
      for (let turn = 0; turn < 12; turn++) {
        await weLoad(found);
        await kubeProxyStarts(found);
      }
      const { attempts, failures, longLivedFailures, examples } = await stop();
      expect({ failures, longLivedFailures, examples }).to.deep.equal({
        failures: 0,
        longLivedFailures: 0,
        examples: [],
      });
      expect(attempts).to.be.greaterThan(200);
    });
  }
});

function isServed(flow: Flow): flow is Flow & { readonly protocol: 'tcp' } {
  return flow.protocol === 'tcp' && flow.expect.verdict === 'endpoint';
}
