import { expect } from 'chai';
import { join } from 'node:path';

import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { clientMemory } from './client-memory.ts';
import { judgeFlows } from './judge.ts';
import { createOwnRules } from './own-rules.ts';
import type { OwnRules } from './own-rules.ts';
import { clearRules } from './recorded-rules.ts';
import { caseNames, readCase } from './rules-case.ts';
import { judgeInits } from './sctp.ts';

describe('packets through our rules', function () {
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

  for (const writer of ['iptables-nft', 'iptables-legacy', 'nftables'] as const) {
    for (const name of caseNames) {
      const found = readCase(name);
      const flows = found.flows(writer === 'nftables' ? 'nftables' : 'iptables');
      it(`${writer}: ${name}: ${flows.length} flows of both families end as in a real cluster`, async () => {
        await lab.listen(found.listeners);
        await clearRules(lab);
        await lab.allowLocalhostNodePorts(found.hasLocalhostNodePorts);
        const given = {
          statePath: join(found.directory, 'state.yaml'),
          configPath: join(found.directory, 'config.yaml'),
        };
        await rules.load(given, writer);
        const wrongs = await judgeFlows({ lab, forgetClients: await clientMemory(lab, writer) }, flows);
        expect([...wrongs, ...(await judgeInits(lab, flows))]).to.deep.equal([]);
      });
    }
  }
});
