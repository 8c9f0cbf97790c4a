import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';

import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { startTraffic } from '../support/traffic.ts';
import type { Target } from '../support/traffic.ts';
import { createOwnRules } from './own-rules.ts';
import type { OwnRules } from './own-rules.ts';
import { clearRules } from './recorded-rules.ts';
import { withWebService } from './web-service.ts';

const pods = ['10.244.1.11', '10.244.1.12', '10.244.1.13', '10.244.2.14', '10.244.2.34'];
const targets: readonly Target[] = [
  { protocol: 'tcp', source: '172.18.0.100', destination: '172.18.0.11', port: 30100 },
  { protocol: 'tcp', source: '10.244.1.13', destination: '10.96.0.10', port: 80 },
];

describe('continuous traffic', function () {
  this.timeout(120_000);
  let lab: Lab;
  let rules: OwnRules;

  before(async () => {
    lab = await createLab();
    rules = await createOwnRules(lab);
    await lab.listen(pods.map((address) => ({ protocol: 'tcp', address, port: 8080 })));
  });
  after(async () => {
    await lab.remove();
    await rules.remove();
  });
  beforeEach(() => clearRules(lab));

  it('counts the failures that a dropping rule causes, in new connections and in those that stay', async () => {
    await withWebService({ endpoints: pods }, (given) => rules.load(given, 'iptables-nft'));
    const stop = await startTraffic(lab, targets, { longLived: 2, timeoutMs: 500 });
    await sleep(300);
    await lab.node.mustExec('iptables-nft', '-I', 'FORWARD', '-j', 'DROP');
    await sleep(1000);
    const report = await stop();
    expect(report.failures).to.be.greaterThan(0);
    expect(report.attempts).to.be.greaterThan(report.failures);
    expect(report.longLivedFailures).to.equal(4);
    expect(report.examples.join('\n'))
      .to.match(/silence/)
      .and.to.match(/no echo/);
  });

  for (const writer of ['iptables-nft', 'iptables-legacy', 'nftables'] as const) {
    it(`${writer}: no connection fails while endpoints come and go`, async () => {
      const load = (count: number) =>
        withWebService({ endpoints: pods.slice(0, count) }, (given) => rules.load(given, writer));
      await load(pods.length);
      const stop = await startTraffic(lab, targets, { longLived: 2 });
      for (let sync = 0; sync < 20; sync += 1) await load(1 + ((sync * 3) % pods.length));
      const { attempts, failures, longLivedFailures, longLivedMessages, examples } = await stop();
      expect({ failures, longLivedFailures, examples }).to.deep.equal({
        failures: 0,
        longLivedFailures: 0,
        examples: [],
      });
      expect(attempts).to.be.greaterThan(50);
      expect(longLivedMessages).to.be.greaterThan(4);
    });
  }
});
