import { expect } from 'chai';
import { desiredPrograms, dumpPrograms } from '../../../src/commands/explain/programs.ts';
import { differingPackets, withIntentions } from '../../../src/commands/verify/compare.ts';
import type { PacketDifference } from '../../../src/commands/verify/compare.ts';
import { verificationData, verificationText } from '../../../src/commands/verify/text.ts';
import { relevantPackets } from '../../../src/commands/verify/packets.ts';
import type { PacketFacts } from '../../../src/commands/verify/packets.ts';
import { buildModel } from '../../../src/model/build.ts';
import type { ProxyModel } from '../../../src/model/model.ts';
import type { Program } from '../../../src/ruleset/walk-program.ts';
import type { Service } from '../../../src/source/objects.ts';
import { corpusCases, corpusFile } from '../../support/corpus.ts';
import { nodeAddresses } from '../../support/lab-topology.ts';
import { endpoint, modelOptions, service, slice, state } from '../../support/state.ts';
import { recordedModels, recordedSurroundings } from '../recorded.ts';

interface Rulesets {
  readonly left: readonly Program[];
  readonly right: readonly Program[];
}

function factsFor(model: ProxyModel): PacketFacts {
  return { ...recordedSurroundings([model]), model, addresses: nodeAddresses };
}

function compared(models: readonly ProxyModel[], nftables: readonly ProxyModel[], rulesets: Rulesets) {
  return models.flatMap((model, index) => {
    const facts = factsFor(model);
    const packets = relevantPackets(facts);
    return withIntentions(differingPackets(packets, rulesets, facts), nftables[index]!);
  });
}

function inWords({ client, destination, left, right, intended }: PacketDifference): string {
  const { address, port, protocol } = destination;
  const from = `${client.kind} ${client.address.text}`;
  return `${from} to ${address.text}:${port}/${protocol}: ${left.verdict} ${right.verdict} ${intended ?? ''}`;
}

describe('verify', () => {
  for (const name of corpusCases) {
    it(`finds only intended differences between what kube-proxy wrote in both modes: ${name}`, async () => {
      const rulesets = {
        left: [
          ...dumpPrograms(corpusFile(name, 'iptables.rules'), 'iptables.rules', ['IPv4']),
          ...dumpPrograms(corpusFile(name, 'ip6tables.rules'), 'ip6tables.rules', ['IPv6']),
        ],
        right: ['table-ip.nft', 'table-ip6.nft'].flatMap((file) => dumpPrograms(corpusFile(name, file), file, [])),
      };
      const differences = compared(
        await recordedModels(name, 'iptables'),
        await recordedModels(name, 'nftables'),
        rulesets,
      );
      expect(differences.filter(({ intended }) => intended === undefined).map(inWords)).to.deep.equal([]);
    });

    it(`finds only intended differences between our own rules in both modes: ${name}`, async () => {
      const iptables = await recordedModels(name, 'iptables');
      const nftables = await recordedModels(name, 'nftables');
      const rulesets = { left: desiredPrograms('iptables', iptables), right: desiredPrograms('nftables', nftables) };
      const differences = compared(iptables, nftables, rulesets);
      expect(differences.filter(({ intended }) => intended === undefined).map(inWords)).to.deep.equal([]);
    });
  }
});

describe('verify with a fault', () => {
  it('shows the smallest packet that is treated differently, with both walks', async () => {
    const models = await recordedModels('nodeport', 'nftables');
    const text = corpusFile('nodeport', 'table-ip.nft').replaceAll('10.244.2.14 . 8080', '10.244.2.15 . 8080');
    const rulesets = { left: desiredPrograms('nftables', models), right: dumpPrograms(text, 'table', []) };
    const [model] = models;
    const facts = factsFor(model!);
    const packets = relevantPackets(facts);
    const differences = differingPackets(packets, rulesets, facts);
    expect(differences).to.have.length.above(0);
    const verification = { left: 'desired', right: 'live', packets: packets.length, differences } as const;
    const printed = verificationText(verification);
    expect(printed).to.match(/^\d+ of \d+ packets are treated differently by desired and live\./);
    expect(printed).to.match(/ {2}live: endpoint, .*10\.244\.2\.15:8080 1\/2 \(50%\)/);
    const data = verificationData(verification);
    expect(data.equal).to.be.false;
    expect(data.differences[0]).to.deep.include({
      family: 'IPv4',
      intended: false,
      desired: 'endpoint',
      live: 'endpoint',
    });
  });

  it('sees that a lookup loses a share of the connections', async () => {
    const models = await recordedModels('nodeport', 'nftables');
    const desired = desiredPrograms('nftables', models);
    const text = corpusFile('nodeport', 'table-ip.nft').replaceAll('numgen random mod 2', 'numgen random mod 3');
    const facts = factsFor(models[0]!);
    const rulesets = { left: desired, right: dumpPrograms(text, 'table', []) };
    const [difference] = differingPackets(relevantPackets(facts), rulesets, facts);
    expect(difference?.right.others).to.have.length(1);
    expect(difference?.right.others[0]?.probability).to.be.closeTo(1 / 3, 1e-9);
  });
});

describe('verify where the ranges of Service addresses are known', () => {
  it('documents that nftables mode drops what no Service has', () => {
    const ranges = [{ metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.96.0.0/16'] } }];
    const model = buildModel(
      state([service()], [slice([endpoint('10.244.1.11')])], { serviceCIDRs: ranges }),
      modelOptions(),
    );
    const rulesets = { left: desiredPrograms('iptables', [model]), right: desiredPrograms('nftables', [model]) };
    const facts = factsFor(model);
    const found = withIntentions(differingPackets(relevantPackets(facts), rulesets, facts), model)
      .filter(({ destination }) => destination.address.text === '10.96.255.254')
      .map(({ left, right, intended }) => [left.verdict, right.verdict, intended]);
    const reason = 'a cluster IP that no Service has is dropped in nftables mode';
    expect(found).to.deep.equal([
      ['pass', 'drop', reason],
      ['pass', 'drop', reason],
      ['pass', 'drop', reason],
    ]);
  });
});

describe('verify of source ranges', () => {
  const balancer = (overrides: Partial<Service['spec']>) => {
    const guarded = service({ type: 'LoadBalancer', ...overrides });
    const status = { loadBalancer: { ingress: [{ ip: '203.0.113.1' }, { ip: '203.0.113.2' }] } };
    const model = buildModel(state([{ ...guarded, status }], [slice([endpoint('10.244.1.11')])]), modelOptions());
    const rulesets = { left: desiredPrograms('iptables', [model]), right: desiredPrograms('nftables', [model]) };
    return compared([model], [model], rulesets).filter(({ destination }) => destination.address.text !== '10.96.0.10');
  };

  it('finds every load balancer address admitted to each of them where the ranges hold the node', () => {
    expect(balancer({ loadBalancerSourceRanges: ['172.18.0.0/24'] }).map(inWords)).to.deep.equal([]);
  });

  it('documents that a load balancer IP which is an external IP too is guarded in nftables mode only', () => {
    const found = balancer({ externalIPs: ['203.0.113.1'], loadBalancerSourceRanges: ['192.0.2.0/24'] });
    expect(
      found.map(({ destination, left, right }) => [destination.address.text, left.verdict, right.verdict]),
    ).to.include.deep.members([['203.0.113.1', 'endpoint', 'drop']]);
    expect(new Set(found.map(({ intended }) => intended))).to.deep.equal(
      new Set(['source ranges hold for a load balancer IP that is an external IP too in nftables mode only']),
    );
  });
});
