import { expect } from 'chai';
import { healthzAnswer, livezAnswer, readyzAnswer } from '../../src/agent/health-answers.ts';
import { rfc3339 } from '../../src/agent/timestamp.ts';
import type { Answer } from '../../src/agent/http-server.ts';
import { Health } from '../../src/agent/health.ts';
import type { Node } from '../../src/source/objects.ts';
import { recordedAnswer } from './recorded-answer.ts';

const node: Node = { metadata: { name: 'node-1' } };
const leaving: Node = { ...node, spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] } };

describe('agent/health', () => {
  function setUp() {
    const time = { ms: 0 };
    const date = () => new Date(Date.UTC(2026, 10, 21, 7, 0, 0, 0) + time.ms);
    return { time, health: new Health({ timeoutMs: 60_000, now: () => time.ms, date }) };
  }

  function body(answer: Answer): Record<string, unknown> {
    return JSON.parse(answer.body.toString()) as Record<string, unknown>;
  }

  it('answers as kube-proxy does', () => {
    for (const [name, seen, answer] of [
      ['healthz', node, healthzAnswer],
      ['livez', node, livezAnswer],
      ['healthz-node-to-be-deleted', leaving, healthzAnswer],
      ['livez-node-to-be-deleted', leaving, livezAnswer],
    ] as const) {
      const { health } = setUp();
      health.started('IPv6');
      health.started('IPv4');
      health.setNode(seen);
      const { status, body } = answer(health.report());
      const recorded = recordedAnswer(`iptables-${name}`);
      expect(recorded.head[0], name).to.include(` ${status} `);
      expect(body.toString().replace(/"2026[^"]*"/g, '"T"'), name).to.equal(recorded.body);
    }
  });

  it('leaves the families out before a sync loop has started', () => {
    const { health } = setUp();
    health.setStandalone();
    expect(body(livezAnswer(health.report()))).to.have.all.keys('lastUpdated', 'currentTime', 'healthy');
    expect(livezAnswer(health.report()).status).to.equal(200);
    expect(healthzAnswer(health.report()).status).to.equal(200);
  });

  it('is unhealthy from the moment that a request is as old as the timeout, until a sync is done', () => {
    const { health, time } = setUp();
    health.started('IPv4');
    health.started('IPv6');
    health.setNode(node);
    health.queued('IPv4');
    time.ms = 30_000;
    health.queued('IPv4');
    health.updated('IPv6');
    time.ms = 59_999;
    expect(livezAnswer(health.report()).status).to.equal(200);
    time.ms = 60_000;
    for (const answer of [livezAnswer(health.report()), healthzAnswer(health.report())]) {
      expect(answer.status).to.equal(503);
      expect(body(answer)).to.deep.include({
        healthy: false,
        lastUpdated: rfc3339(new Date(Date.UTC(2026, 10, 21, 7, 0, 30))),
      });
    }
    expect(body(livezAnswer(health.report())).status).to.have.nested.include({
      'IPv4.healthy': false,
      'IPv6.healthy': true,
    });
    health.begun('IPv4');
    health.updated('IPv4');
    expect(livezAnswer(health.report()).status).to.equal(200);
  });

  it('counts what was requested during a sync from its own request, and what failed from the first', () => {
    const { health, time } = setUp();
    health.started('IPv4');
    health.queued('IPv4');
    health.begun('IPv4');
    time.ms = 50_000;
    health.queued('IPv4');
    time.ms = 59_000;
    health.updated('IPv4');
    time.ms = 109_999;
    expect(livezAnswer(health.report()).status).to.equal(200);
    health.begun('IPv4');
    health.queued('IPv4');
    time.ms = 110_000;
    expect(livezAnswer(health.report()).status).to.equal(503);
  });

  const nodes: [string, Node | undefined, number][] = [
    ['known', node, 200],
    ['unknown', undefined, 503],
    ['being deleted', { metadata: { name: 'node-1', deletionTimestamp: '2026-11-21T07:00:00Z' } }, 503],
    ['tainted otherwise', { ...node, spec: { taints: [{ key: 'node.kubernetes.io/not-ready' }] } }, 200],
    ['about to be deleted', leaving, 503],
  ];
  for (const [name, seen, status] of nodes) {
    it(`answers ${status} on /healthz while the node is ${name}`, () => {
      const { health } = setUp();
      health.setNode(seen);
      expect(healthzAnswer(health.report()).status).to.equal(status);
      expect(livezAnswer(health.report()).status).to.equal(200);
    });
  }

  it('is ready only while every family has its rules in the kernel, and says why not', () => {
    const { health, time } = setUp();
    expect(readyzAnswer(health.report()).status).to.equal(503);
    expect(body(readyzAnswer(health.report())).reason).to.match(/first complete lists/);
    health.started('IPv4');
    health.started('IPv6');
    health.verified('IPv4');
    expect(readyzAnswer(health.report()).status).to.equal(503);
    expect(body(readyzAnswer(health.report())).status).to.have.nested.include({
      'IPv4.ready': true,
      'IPv6.ready': false,
    });
    health.verified('IPv6');
    expect(readyzAnswer(health.report()).status).to.equal(200);
    health.unverified('IPv4', 'the kernel refused the rules');
    expect(readyzAnswer(health.report()).status).to.equal(503);
    expect(body(readyzAnswer(health.report())).status).to.have.nested.include({
      'IPv4.reason': 'the kernel refused the rules',
    });
    health.verified('IPv4');
    health.queued('IPv6');
    time.ms += 60_000;
    expect(body(readyzAnswer(health.report())).status)
      .to.have.nested.property('IPv6.reason')
      .that.matches(/overdue/);
  });

  it('prints times as Go does', () => {
    expect(rfc3339(new Date('2026-11-21T07:00:00.330Z'))).to.match(/:00\.33(?:Z|[+-]\d\d:\d\d)$/);
    expect(rfc3339(new Date('2026-11-21T07:00:10.000Z'))).to.match(/:10(?:Z|[+-]\d\d:\d\d)$/);
    for (const time of ['2026-11-21T07:00:00.330Z', '2026-07-01T23:59:59.001Z']) {
      expect(new Date(rfc3339(new Date(time))).toISOString()).to.equal(time);
    }
  });
});
