import { expect } from 'chai';
import { loadCredentials } from '../../src/source/kubernetes/credentials.ts';
import type { EventRecord, EventRecorder } from '../../src/source/kubernetes/events.ts';
import { createEventRecorder } from '../../src/source/kubernetes/events.ts';
import type { ApiClient } from '../../src/source/kubernetes/request.ts';
import { createClient } from '../../src/source/kubernetes/request.ts';
import { lineLog } from '../support/cluster-lab.ts';
import type { FakeApiServer } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('event recorder', () => {
  let server: FakeApiServer;
  let clock: ManualClock;
  let client: ApiClient;
  let lines: string[];
  let recorder: EventRecorder;

  const event = (note: string, name = 'web'): EventRecord => ({
    regarding: { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name, uid: 'u-1' },
    type: 'Warning',
    reason: 'InvalidPort',
    action: 'SyncProxyRules',
    note,
  });
  const posted = (count: number) =>
    clock.runUntil(`${count} events`, () => server.events.length === count && clock.pending === 0);

  beforeEach(async () => {
    server = await startFakeApiServer();
    clock = new ManualClock();
    lines = [];
    client = createClient(loadCredentials({ master: server.url }, { env: {} }), { clock, random: () => 0.5 });
    const options = { client, reportingController: 'kube-proxy', reportingInstance: 'kube-proxy-node-1' };
    const date = () => new Date('2026-01-02T03:04:05.678Z');
    recorder = createEventRecorder(options, { clock, log: lineLog(lines), date });
  });
  afterEach(async () => {
    await recorder.stop();
    client.close();
    await server.goDown();
  });

  it('posts to the namespace of the object', async () => {
    recorder.record(event('port 0'));
    await posted(1);
    const [got] = server.events as [{ metadata: { name: string } }];
    expect(got).to.deep.include({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      eventTime: '2026-01-02T03:04:05.678000Z',
      reportingController: 'kube-proxy',
      reportingInstance: 'kube-proxy-node-1',
      regarding: { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: 'u-1' },
      type: 'Warning',
      reason: 'InvalidPort',
      action: 'SyncProxyRules',
      note: 'port 0',
    });
    expect(got.metadata).to.include({ namespace: 'shop' });
    expect(got.metadata.name).to.match(/^web\.[0-9a-f]{16}$/);
    expect(server.requests[0]?.url).to.equal('/apis/events.k8s.io/v1/namespaces/shop/events');
  });

  it('keeps to the limits of the API, and puts Events of a Node into the default namespace', async () => {
    recorder.record({
      ...event('x'.repeat(3000)),
      regarding: { apiVersion: 'v1', kind: 'Node', name: 'n'.repeat(253) },
    });
    await posted(1);
    const [got] = server.events as [{ metadata: { name: string; namespace: string }; note: string }];
    expect(got.metadata.namespace).to.equal('default');
    expect(got.metadata.name).to.have.length(253);
    expect(Buffer.byteLength(got.note)).to.equal(1024);
  });

  it('counts a note in bytes, and cuts between characters', async () => {
    recorder.record(event('→'.repeat(1000)));
    await posted(1);
    const [got] = server.events as [{ note: string }];
    expect(got.note).to.match(/^→{340}…$/);
  });

  it('posts the same thing once in ten minutes', async () => {
    for (let n = 0; n < 50; n += 1) recorder.record(event('same'));
    await posted(1);
    clock.advance(600_001);
    recorder.record(event('same'));
    await posted(2);
  });

  it('posts no more than a burst, then one now and then', async () => {
    for (let n = 0; n < 200; n += 1) recorder.record(event(`note ${n}`));
    await posted(25);
    await clock.run(500);
    expect(server.events).to.have.length(25);
    clock.advance(10_000);
    for (let n = 0; n < 200; n += 1) recorder.record(event(`more ${n}`));
    await posted(27);
  });

  it('says once that it may not post, and goes on', async () => {
    const end = server.misbehave({ fault: { kind: 'status', code: 403 } });
    recorder.record(event('one'));
    recorder.record(event('two'));
    await clock.runUntil('refusals', () => server.requests.length === 2);
    end();
    recorder.record(event('three'));
    await posted(1);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(
      /^warn cannot post Kubernetes Events, going on without.*403.*the verb create on this resource/,
    );
  });

  it('does not wait for a server that hangs, nor when it is stopped', async () => {
    server.misbehave({ fault: { kind: 'hang' } });
    recorder.record(event('one'));
    await clock.runUntil('the request', () => server.requests.length === 1);
    let isStopped = false;
    void recorder.stop().then(() => {
      isStopped = true;
    });
    recorder.record(event('two'));
    await clock.runUntil('its end', () => isStopped, { withinMs: 1100 });
    expect(server.requests).to.have.length(1);
    expect(lines).to.deep.equal([]);
  });

  it('still sends what was recorded before it is stopped: why the agent ends', async () => {
    recorder.record(event('one'));
    recorder.record(event('two'));
    await recorder.stop();
    recorder.record(event('three'));
    expect(server.events).to.have.length(2);
  });
});
