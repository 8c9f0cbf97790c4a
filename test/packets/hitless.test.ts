import { expect } from 'chai';
import type { Backend } from '../../src/agent/backend.ts';
import { sync } from '../../src/agent/sync.ts';
import { createIptablesBackend } from '../../src/iptables/backend.ts';
import { createIptablesTools } from '../../src/kernel/iptables-tools.ts';
import { createNftTool } from '../../src/kernel/nft-tool.ts';
import { openHost } from '../../src/kernel/host.ts';
import type { Host } from '../../src/kernel/host.ts';
import { buildModel } from '../../src/model/build.ts';
import { createNftablesBackend } from '../../src/nftables/backend.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import type { EndpointSlice, Service } from '../../src/source/objects.ts';
import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { nodeAddresses } from '../support/lab-topology.ts';
import { endpoint, modelOptions, port, service, slice, state } from '../support/state.ts';
import { startTraffic } from '../support/traffic.ts';
import { clearRules } from './recorded-rules.ts';

const syncs = 100;
const pods = ['10.244.1.11', '10.244.1.12', '10.244.1.13'];
const steady = service({ type: 'NodePort', ports: [port({ nodePort: 30_100 })] });
const steadySlice = slice(pods.map((address) => endpoint(address)));

/** A repeatable series of numbers, so that a failure can be seen again. */
function series(seed: number): (below: number) => number {
  let value = seed;
  return (below) => {
    value = (value * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((value / 2 ** 31) * below);
  };
}

/** Other Services come, go and change; the steady one stays as it is. */
function others(next: (below: number) => number): { services: Service[]; slices: EndpointSlice[] } {
  const services: Service[] = [];
  const slices: EndpointSlice[] = [];
  for (let index = 0; index < 6; index++) {
    if (next(4) === 0) continue;
    const name = `other-${index}`;
    const clusterIP = `10.96.1.${index + 1}`;
    const external =
      next(2) === 0 ? { type: 'NodePort', ports: [port({ nodePort: 31_000 + next(50) * 6 + index })] } : {};
    const policy = next(3) === 0 ? { internalTrafficPolicy: 'Local' } : {};
    const affinity = next(5) === 0 ? { sessionAffinity: 'ClientIP' } : {};
    services.push(service({ clusterIP, ...external, ...policy, ...affinity }, { name }));
    const used = pods.filter(() => next(2) === 0).map((address) => endpoint(address));
    slices.push(slice(used, {}, name));
  }
  return { services, slices };
}

describe(`${syncs} syncs of other Services`, function () {
  this.timeout(240_000);
  let lab: Lab;
  let host: Host;

  before(async () => {
    lab = await createLab();
    const [tool = '', ...args] = lab.node.prefix;
    host = await openHost({ prefix: [[tool, ...args]], env: lab.node.env });
    await lab.listen(pods.flatMap((address) => [{ protocol: 'tcp' as const, address, port: 8080 }]));
  });

  after(async () => {
    await lab.remove();
  });

  beforeEach(() => clearRules(lab));

  const backends: readonly [string, () => Backend][] = [
    ['iptables on the nf_tables variant', () => iptables('nft')],
    ['iptables on the legacy variant', () => iptables('legacy')],
    ['nftables', () => createNftablesBackend('IPv4', { ...createNftTool(host), tryLoad: () => Promise.resolve(true) })],
  ];
  const iptables = (variant: 'nft' | 'legacy'): Backend =>
    createIptablesBackend(
      { family: 'IPv4', variant },
      { counters: false },
      {
        ...createIptablesTools(host, variant),
        tryLoad: () => Promise.resolve(true),
      },
    );

  for (const [name, create] of backends) {
    it(`${name}: no connection to a Service that stays as it is fails, old or new`, async () => {
      const backend = create();
      const next = series(7);
      const options = modelOptions({ hostAddresses: nodeAddresses, localhostNodePorts: false });
      const desired = () => {
        const { services, slices } = others(next);
        return buildModel(state([steady, ...services], [steadySlice, ...slices]), options);
      };
      let live: Ruleset = (await sync(backend, desired(), { keepGoing: false })).live;
      const stop = await startTraffic(
        lab,
        [
          { protocol: 'tcp', source: '172.18.0.100', destination: '172.18.0.11', port: 30_100 },
          { protocol: 'tcp', source: '10.244.1.13', destination: '10.96.0.10', port: 80 },
        ],
        { longLived: 2, timeoutMs: 2_000 },
      );
      let written = 0;
      for (let step = 0; step < syncs; step++) {
        const result = await sync(backend, desired(), { live, keepGoing: false });
        live = result.live;
        written += Math.sign(result.plan.scripts.length);
      }
      const { attempts, failures, longLivedFailures, examples } = await stop();
      expect({ failures, longLivedFailures, examples }).to.deep.equal({
        failures: 0,
        longLivedFailures: 0,
        examples: [],
      });
      expect(attempts).to.be.greaterThan(syncs);
      expect(written).to.be.greaterThan(syncs / 2);
    });
  }
});
