import { expect } from 'chai';
import { FamilyReports } from '../../src/agent/family-reports.ts';
import { Health } from '../../src/agent/health.ts';
import { createMetrics } from '../../src/agent/metrics.ts';
import type { Logger } from '../../src/log.ts';
import type { LogFields } from '../../src/log-line.ts';
import { buildModel } from '../../src/model/build.ts';
import type { EventRecord } from '../../src/source/kubernetes/events.ts';
import { modelOptions, state } from '../support/state.ts';

describe('the reports of a family', () => {
  async function reporting() {
    const lines: { message: string; fields: LogFields }[] = [];
    const events: EventRecord[] = [];
    const write = (message: string, fields: LogFields = {}) => {
      lines.push({ message, fields });
    };
    const logger: Logger = { info: write, warn: write, error: write, debug: () => undefined, isEnabled: () => false };
    const date = () => new Date(0);
    const health = new Health({ timeoutMs: 60_000, now: () => 0, date });
    health.started('IPv4');
    const reports = new FamilyReports({
      ...{ family: 'IPv4', nodeName: 'node-1', logger, quietLogger: logger, date, state: () => undefined },
      metrics: await createMetrics({
        ...{ mode: 'iptables', families: 1, version: '0.0.0', now: () => 0 },
        ...{ readiness: () => new Map(), features: new Map() },
      }),
      health,
      events: { record: (event) => events.push(event) },
      quarantined: () => 0,
      onSynced: () => undefined,
      onPlan: () => undefined,
    });
    return { reports, lines, events };
  }

  it('tell of rules in front of ours in one line a chain, once', async () => {
    const { reports, lines } = await reporting();
    const rules = Array.from({ length: 50 }, (_, number) => `-A INPUT -s 192.0.2.${number} -j DROP`);
    reports.onRulesInFront([{ chain: 'filter INPUT', rules }]);
    reports.onRulesInFront([{ chain: 'filter INPUT', rules }]);
    expect(lines.map(({ fields }) => fields)).to.deep.equal([
      { family: 'IPv4', chain: 'filter INPUT', count: 50, first: rules.slice(0, 3) },
    ]);
    reports.onRulesInFront([{ chain: 'filter INPUT', rules: [...rules, '-A INPUT -j LATER'] }]);
    expect(lines[1]?.fields).to.include({ count: 1 });
    for (let number = 0; number < 5_000; number++) {
      reports.onRulesInFront([{ chain: 'filter INPUT', rules: [`-A INPUT -s 198.51.${number}.0/24 -j DROP`] }]);
    }
    expect(lines).to.have.length.below(1_001);
  });

  it('have a few lines for many refused Services, and an Event for each', async () => {
    const { reports, lines, events } = await reporting();
    const refusals = Array.from({ length: 200 }, (_, number) => ({
      service: { namespace: 'default', name: `web-${number}` },
      reason: 'no',
    }));
    reports.onSynced({
      ...{ changes: [], leftovers: [], refusals, wasListed: true, tookMs: 1, stages: new Map() },
      model: buildModel(state([], []), modelOptions()),
      live: { parts: [] },
    });
    expect(lines).to.have.length(11);
    expect(lines[10]?.fields).to.include({ family: 'IPv4', count: 190 });
    expect(events).to.have.length(200);
  });
});
