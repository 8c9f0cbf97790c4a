import { expect } from 'chai';
import { apiService, apiSlice, createClusterLab } from '../support/cluster-lab.ts';
import type { ClusterLab } from '../support/cluster-lab.ts';
import type { Fault } from '../support/fake-api-fault.ts';
import type { FakeApiServer } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';

/** Numbers that look random and are the same in each run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

const faults: readonly Fault[] = [
  { kind: 'hang' },
  { kind: 'status', code: 500 },
  { kind: 'status', code: 503, html: true },
  { kind: 'status', code: 429, retryAfterSeconds: 2 },
  { kind: 'status', code: 401 },
  { kind: 'status', code: 410 },
  { kind: 'html' },
  { kind: 'truncate' },
  { kind: 'halve' },
  { kind: 'noVersion' },
  { kind: 'mute' },
  { kind: 'refuseWatchList' },
  { kind: 'noInitialEnd' },
  { kind: 'slow', bytes: 200 },
  { kind: 'text', body: '{"type":"ADDED","object":{"kind":"Serv' },
  { kind: 'text', body: '[]\n' },
];

const emptyLists: readonly Fault[] = [{ kind: 'empty' }, { kind: 'nullItems' }];

describe('cluster source: random changes and random faults', () => {
  let server: FakeApiServer;
  let lab: ClusterLab;

  afterEach(async () => {
    await lab.end();
    await server.goDown();
  });

  // A small cluster believes an empty list until the next one: there the quiet spell begins with a list.
  for (const { seed, withEmptyLists } of [
    { seed: 11, withEmptyLists: false },
    { seed: 22, withEmptyLists: true },
    { seed: 33, withEmptyLists: false },
    { seed: 44, withEmptyLists: true },
  ]) {
    it(`shows what the server holds after each quiet spell (seed ${seed})`, async () => {
      const random = randomFrom(seed);
      const chosen = withEmptyLists ? [...faults, ...emptyLists] : faults;
      server = await startFakeApiServer();
      for (let n = 0; n < 40; n += 1) change(server, random);
      lab = createClusterLab(server);
      await lab.ready();
      for (let spell = 0; spell < 4; spell += 1) {
        for (let step = 0; step < 20; step += 1) {
          for (let n = random(4); n > 0; n -= 1) change(server, random);
          await disturb(server, chosen, random);
          await lab.clock.run(random(3000), { stepMs: 500 });
          lab.source.snapshot();
        }
        await server.goDown();
        server.calm();
        if (withEmptyLists) server.forgetHistory();
        await server.comeBack();
        const isRight = () => seen(lab.source.snapshot()) === shown(server);
        await lab.clock.runUntil('calm', isRight, { withinMs: 100_000, stepMs: 500 }).catch(() => undefined);
        expect(seen(lab.source.snapshot())).to.equal(shown(server));
      }
    });
  }
});

/** Services and slices come, change and go. */
function change(server: FakeApiServer, random: (below: number) => number): void {
  const name = `s${random(30)}`;
  switch (random(6)) {
    case 0:
      server.delete('Service', name);
      break;
    case 1:
      server.delete('EndpointSlice', `${name}-1`);
      break;
    case 2:
      server.recreate(apiService(name, { clusterIP: `10.96.2.${random(200)}` }));
      break;
    case 3:
      server.set(apiService(name, { clusterIP: random(3) === 0 ? 'None' : `10.96.3.${random(200)}` }));
      break;
    default:
      server.set(apiSlice(`${name}-1`, `s${random(30)}`, [`10.0.0.${random(200)}`]));
  }
}

async function disturb(
  server: FakeApiServer,
  faults: readonly Fault[],
  random: (below: number) => number,
): Promise<void> {
  const watches = server.watches();
  const watch = watches[random(Math.max(1, watches.length))];
  const fault = faults[random(faults.length)];
  switch (random(9)) {
    case 0:
      watch?.cut();
      break;
    case 1:
      watch?.fail(random(2) === 0 ? 410 : 500);
      break;
    case 2:
      watch?.write('{"type":"DELETED","object":{"kind"');
      watch?.cut();
      break;
    case 3:
      server.forgetHistory();
      break;
    case 4:
      await server.goDown();
      await server.comeBack();
      break;
    case 5:
      server.sendBookmarks();
      break;
    default:
      if (fault !== undefined) server.misbehave({ fault, times: 1 + random(3) });
  }
}

function shown(server: FakeApiServer): string {
  const services = server.storage
    .select('Service', { labelSelector: '', fieldSelector: 'spec.clusterIP!=None' })
    .map(
      ({ metadata, spec }) => `${metadata.name} ${String(metadata.uid)} ${(spec as { clusterIP: string }).clusterIP}`,
    );
  const slices = server.storage
    .select('EndpointSlice', { labelSelector: '', fieldSelector: '' })
    .map(
      ({ metadata, endpoints }) =>
        `${metadata.name} ${JSON.stringify(metadata.labels)} ${JSON.stringify((endpoints as { addresses: unknown }[])[0]?.addresses)}`,
    );
  return [...services, ...slices].toSorted().join('\n');
}

function seen(state: ReturnType<ReturnType<typeof createClusterLab>['snapshot']> | undefined): string {
  const services = (state?.services ?? []).map(
    ({ metadata, spec }) => `${metadata.name} ${String(metadata.uid)} ${String(spec.clusterIP)}`,
  );
  const slices = [...(state?.slices.values() ?? [])]
    .flat()
    .map(
      ({ metadata, endpoints }) =>
        `${metadata.name} ${JSON.stringify(metadata.labels)} ${JSON.stringify(endpoints?.[0]?.addresses)}`,
    );
  return [...services, ...slices].toSorted().join('\n');
}
