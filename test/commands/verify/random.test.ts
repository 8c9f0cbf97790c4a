import { expect } from 'chai';
import { desiredPrograms } from '../../../src/commands/explain/programs.ts';
import { differingPackets, withIntentions } from '../../../src/commands/verify/compare.ts';
import { relevantPackets } from '../../../src/commands/verify/packets.ts';
import { buildModel } from '../../../src/model/build.ts';
import { hostOf } from '../../../src/ruleset/walk-host.ts';
import type { ClusterState, EndpointSlice, Service, SliceEndpoint } from '../../../src/source/objects.ts';
import { createChance } from '../../ruleset/walk-random-rules.ts';
import type { Chance } from '../../ruleset/walk-random-rules.ts';
import { endpoint, modelOptions, port, service, slice, state } from '../../support/state.ts';

const states = 150;
const node = '172.18.0.11';

function randomEndpoint(chance: Chance): SliceEndpoint {
  const isLocal = chance.below(2) === 0;
  const address = chance.below(12) === 0 ? node : `10.244.${isLocal ? 1 : 2}.${10 + chance.below(6)}`;
  const isTerminating = chance.below(5) === 0;
  return endpoint(address, {
    nodeName: isLocal ? 'node-1' : 'node-2',
    conditions: {
      ready: !isTerminating && chance.below(5) > 0,
      serving: chance.below(4) > 0,
      terminating: isTerminating,
    },
    ...(chance.below(3) === 0 ? { hints: { forZones: [{ name: chance.of(['a', 'b']) }] } } : {}),
  });
}

function randomService(chance: Chance, index: number): Service {
  const type = chance.of(['ClusterIP', 'NodePort', 'LoadBalancer']);
  const isExternal = type !== 'ClusterIP';
  const ports = ['http', 'admin'].slice(0, 1 + chance.below(2)).map((name, at) =>
    port({
      name,
      port: 80 + at,
      protocol: chance.of(['TCP', 'TCP', 'UDP']),
      ...(isExternal ? { nodePort: 30_000 + 2 * index + at } : {}),
    }),
  );
  const spec = {
    type,
    clusterIP: `10.96.0.${10 + index}`,
    ports,
    internalTrafficPolicy: chance.of(['Cluster', 'Cluster', 'Local']),
    externalTrafficPolicy: isExternal ? chance.of(['Cluster', 'Local']) : 'Cluster',
    ...(chance.below(3) === 0 ? { externalIPs: [`198.51.100.${index + 1}`] } : {}),
    ...(chance.below(4) === 0 ? { sessionAffinity: 'ClientIP' } : {}),
    ...(chance.below(3) === 0
      ? { loadBalancerSourceRanges: chance.of([['192.0.2.0/24'], ['10.244.0.0/16', '172.18.0.0/24']]) }
      : {}),
  };
  const ingress = type === 'LoadBalancer' ? [{ ip: `203.0.113.${index + 1}` }] : [];
  return { ...service(spec, { name: `s${index}` }), status: { loadBalancer: { ingress } } };
}

function randomState(chance: Chance): ClusterState {
  const services = Array.from({ length: 1 + chance.below(5) }, (_, index) => randomService(chance, index));
  const slices = services.flatMap(({ metadata, spec }): EndpointSlice[] => {
    const endpoints = Array.from({ length: chance.below(6) }, () => randomEndpoint(chance));
    const ports = (spec.ports ?? []).map(({ name, protocol }, at) => ({
      name: name ?? '',
      protocol: protocol ?? 'TCP',
      port: 8080 + at,
    }));
    return [slice(endpoints, { ports }, metadata.name)];
  });
  const labels = { 'topology.kubernetes.io/zone': 'a' };
  return state(services, slices, { node: { metadata: { name: 'node-1', labels } } });
}

describe('verify over random states', () => {
  const host = hostOf({ addresses: [node, '192.168.77.11'], primaryAddresses: [node], podCIDRs: ['10.244.1.0/24'] });
  const addresses = [node, '192.168.77.11'];

  it('finds both modes alike but for what is documented', () => {
    let walked = 0;
    for (let seed = 1; seed <= states; seed++) {
      const chance = createChance(seed);
      const cluster = randomState(chance);
      const common = { hostAddresses: addresses, masqueradeAll: chance.below(4) === 0 };
      const iptables = buildModel(cluster, modelOptions(common));
      const nftables = buildModel(
        cluster,
        modelOptions({ ...common, localhostNodePorts: false, nodePortAddresses: [node] }),
      );
      const facts = { model: iptables, host, addresses, primaryAddresses: [node], podCIDRs: ['10.244.1.0/24'] };
      const packets = relevantPackets(facts);
      walked += packets.length;
      const rulesets = {
        left: desiredPrograms('iptables', [iptables]),
        right: desiredPrograms('nftables', [nftables]),
      };
      const differences = withIntentions(differingPackets(packets, rulesets, facts), nftables);
      const unintended = differences.filter(({ intended }) => intended === undefined);
      const words = unintended.map(({ client, destination: { address, port: to, protocol }, left, right }) => {
        const seen = [left, right].map(({ verdict, endpoints }) => `${verdict} ${JSON.stringify(endpoints)}`);
        return `seed ${seed}: ${client.address.text} to ${address.text}:${to}/${protocol}: ${seen.join(' | ')}`;
      });
      expect(words).to.deep.equal([]);
    }
    expect(walked).to.be.above(5000);
  }).timeout(120_000);
});
