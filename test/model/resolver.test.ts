import { expect } from 'chai';
import { buildModel } from '../../src/model/build.ts';
import type { ClusterState, EndpointSlice, Service } from '../../src/source/objects.ts';
import { endpoint, modelOptions, port, service, slice, state } from '../support/state.ts';

/** Numbers that are the same in each run. */
function randomFrom(seed: number): (below: number) => number {
  let last = seed;
  return (below) => {
    last = (last * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor(last / 65_536) % below;
  };
}

describe('models of successive snapshots', () => {
  const ports = [port(), port({ name: 'admin', port: 81 }), port({ name: 'dns', port: 53, protocol: 'UDP' })];
  const serviceOf = (index: number, count: number): Service =>
    service({ clusterIPs: [`10.96.0.${index}`], ports: ports.slice(0, count) }, { name: `svc-${index}` });

  function slicesOf(name: string, random: (below: number) => number): readonly EndpointSlice[] {
    const named = ports
      .slice(0, 1 + random(3))
      .map(({ name = '', protocol = 'TCP' }) => ({ name, protocol, port: 8080 }));
    // The last address is none, which is worth a warning.
    const addresses = ['10.244.1.1', '10.244.1.2', '10.244.2.1', 'nonsense'].filter(() => random(3) > 0);
    return [
      slice(
        addresses.map((address) => endpoint(address)),
        { ports: named },
        name,
      ),
    ];
  }

  function next(before: ClusterState, random: (below: number) => number): ClusterState {
    const index = 1 + random(9);
    const name = `svc-${index}`;
    const key = `default/${name}`;
    const slices = new Map(before.slices);
    switch (random(8)) {
      case 0: {
        const others = before.services.filter(({ metadata }) => metadata.name !== name);
        return { ...before, services: random(2) === 0 ? others : [...others, serviceOf(index, 1 + random(3))] };
      }
      case 1:
        slices.delete(key);
        return { ...before, slices };
      case 2: {
        const zone = { 'topology.kubernetes.io/zone': `zone-${random(2)}` };
        return { ...before, node: { metadata: { name: 'node-1', labels: zone } } };
      }
      default:
        for (const one of random(2) === 0 ? [key] : [key, `default/svc-${1 + random(9)}`])
          slices.set(one, slicesOf(one.slice('default/'.length), random));
        return { ...before, slices };
    }
  }

  for (const seed of [1, 2, 3, 4, 5]) {
    it(`are as each alone would be, whatever came before: ${seed}`, () => {
      const random = randomFrom(seed);
      const options = modelOptions();
      const seen = [state([], [])];
      for (let step = 0; step < 300; step++) {
        // Now and then back to a snapshot of long ago.
        const from = seen.at(random(10) === 0 ? random(seen.length) : -1) ?? state([], []);
        const now = next(from, random);
        seen.push(now);
        expect(buildModel(now, options)).to.deep.equal(buildModel(now, modelOptions()));
      }
    });
  }
});
