import { expect } from 'chai';
import { parseConfig } from '../../src/config/config.ts';
import type { FlagValues } from '../../src/config/flags.ts';
import { hostAddresses, modelOptions, nodeIPs, nodeName } from '../../src/config/node.ts';
import { checkSanity } from '../../src/config/sanity.ts';
import type { IPFamily, Node } from '../../src/source/objects.ts';

const addresses = ['127.0.0.1', '172.18.0.11', '192.168.77.11', '::1', 'fd00:18::11', 'fd00:192::11'];
const dualStack = node(['InternalIP', '172.18.0.11'], ['Hostname', '1.1.1.1'], ['InternalIP', 'fd00:18::11']);

describe('nodeName', () => {
  it('is what was configured, else the only Node of the manifests, else the host name; in lower case', async () => {
    const override = await config({ hostnameOverride: 'Mine' });
    const none = await config({});
    expect(nodeName(override, [dualStack], 'host')).to.equal('mine');
    expect(nodeName(none, [dualStack], 'host')).to.equal('node-1');
    expect(nodeName(none, [dualStack, dualStack], 'Host\n')).to.equal('host');
  });
});

describe('nodeIPs', () => {
  const cases: [string, Node | undefined, FlagValues, IPFamily, string, string][] = [
    ['nothing known', undefined, {}, 'IPv4', '127.0.0.1', '::1'],
    ['both families', dualStack, {}, 'IPv4', '172.18.0.11', 'fd00:18::11'],
    [
      'InternalIP before ExternalIP',
      node(['ExternalIP', '1.2.3.4'], ['InternalIP', 'fd00::1']),
      {},
      'IPv6',
      '1.2.3.4',
      'fd00::1',
    ],
    [
      'the first of a family',
      node(['InternalIP', '10.0.0.1'], ['InternalIP', '10.0.0.2']),
      {},
      'IPv4',
      '10.0.0.1',
      '::1',
    ],
    [
      'unreadable addresses left out',
      node(['InternalIP', 'x'], ['InternalIP', '010.0.0.1']),
      {},
      'IPv4',
      '10.0.0.1',
      '::1',
    ],
    ['bindAddress before the Node', dualStack, { bindAddress: 'fd00::9' }, 'IPv6', '172.18.0.11', 'fd00::9'],
    ['an unspecified bindAddress says nothing', dualStack, { bindAddress: '::' }, 'IPv4', '172.18.0.11', 'fd00:18::11'],
  ];
  for (const [title, object, flags, primaryFamily, IPv4, IPv6] of cases) {
    it(title, async () => {
      expect(nodeIPs(await config(flags), object)).to.deep.equal({ primaryFamily, byFamily: { IPv4, IPv6 } });
    });
  }
});

describe('hostAddresses', () => {
  const interfaces = () => ['10.9.9.9'];
  it('are those configured, else of the interfaces for the kernel, else of the Node, else of the interfaces', async () => {
    const given = await config({ nodeAddresses: '1.1.1.1' });
    const none = await config({});
    expect(hostAddresses(given, { node: dualStack, interfaces, target: 'kernel' })).to.deep.equal(['1.1.1.1']);
    expect(hostAddresses(none, { node: dualStack, interfaces, target: 'kernel' })).to.deep.equal(['10.9.9.9']);
    expect(hostAddresses(none, { node: dualStack, interfaces, target: 'text' })).to.deep.equal([
      '172.18.0.11',
      'fd00:18::11',
    ]);
    expect(hostAddresses(none, { interfaces, target: 'text' })).to.deep.equal(['10.9.9.9']);
  });
});

describe('modelOptions', () => {
  it('has what one family of this node needs', async () => {
    const given = await config({
      masqueradeAll: true,
      clusterCidr: '10.244.0.0/16',
      featureGates: 'AllowServiceExternalIPs=false',
    });
    expect(modelOptions(given, { nodeName: 'node-1', node: dualStack, addresses }, 'IPv4')).to.deep.equal({
      family: 'IPv4',
      nodeName: 'node-1',
      nodeIP: '172.18.0.11',
      hostAddresses: addresses,
      masqueradeBit: 14,
      masqueradeAll: true,
      localDetector: { kind: 'cidr', cidr: '10.244.0.0/16' },
      nodePortAddresses: 'all',
      localhostNodePorts: true,
      dropInvalid: true,
      allowExternalIPs: false,
    });
    expect(modelOptions(given, { nodeName: 'n', addresses }, 'IPv6')).not.to.have.any.keys('nodeIP', 'localDetector');
  });

  it('keeps packets that conntrack calls invalid where it tracks liberally, by configuration or already', async () => {
    const host = { nodeName: 'n', addresses };
    expect(modelOptions(await config({ conntrackTcpBeLiberal: true }), host, 'IPv4').dropInvalid).to.be.false;
    expect(modelOptions(await config({}), { ...host, tracksLiberally: true }, 'IPv4').dropInvalid).to.be.false;
  });

  const nodePorts: [FlagValues, IPFamily, 'all' | string[], boolean][] = [
    [{}, 'IPv4', 'all', true],
    [{}, 'IPv6', 'all', false],
    [{ iptablesLocalhostNodeports: 'false' }, 'IPv4', 'all', false],
    [{ proxyMode: 'nftables' }, 'IPv4', ['172.18.0.11'], false],
    [{ nodeportAddresses: 'primary' }, 'IPv6', ['fd00:18::11'], false],
    [{ nodeportAddresses: '192.168.0.0/16' }, 'IPv4', ['192.168.77.11'], false],
    [{ nodeportAddresses: '192.168.0.0/16' }, 'IPv6', 'all', false],
    [{ nodeportAddresses: '192.168.0.0/16,127.0.0.0/8' }, 'IPv4', ['127.0.0.1', '192.168.77.11'], true],
    [{ nodeportAddresses: '127.0.0.1/32' }, 'IPv4', ['127.0.0.1'], true],
    [{ nodeportAddresses: '127.0.0.0/8', iptablesLocalhostNodeports: 'false' }, 'IPv4', [], false],
    [{ nodeportAddresses: '127.0.0.0/8', proxyMode: 'nftables' }, 'IPv4', [], false],
    [{ nodeportAddresses: '::1/128,fd00:192::/32' }, 'IPv6', ['fd00:192::11'], false],
    [{ nodeportAddresses: '10.0.0.0/8,0.0.0.0/0' }, 'IPv4', 'all', true],
    [{ nodeportAddresses: '10.0.0.0/8' }, 'IPv4', [], false],
  ];
  for (const [flags, family, expected, localhost] of nodePorts) {
    it(`${family} node ports with ${JSON.stringify(flags)}`, async () => {
      const options = modelOptions(await config(flags), { nodeName: 'n', node: dualStack, addresses }, family);
      expect([options.nodePortAddresses, options.localhostNodePorts]).to.deep.equal([expected, localhost]);
    });
  }

  it('knows that every host has 127.0.0.1, also where only other addresses are told', async () => {
    const flags = { nodeportAddresses: '127.0.0.0/8,172.18.0.0/16' };
    const host = { nodeName: 'n', addresses: ['172.18.0.11'] };
    const chosen = async (more: FlagValues, family: IPFamily) =>
      modelOptions(await config({ ...flags, ...more }), host, family).nodePortAddresses;
    expect(await chosen({}, 'IPv4')).to.deep.equal(['127.0.0.1', '172.18.0.11']);
    expect(await chosen({ iptablesLocalhostNodeports: false }, 'IPv4')).to.deep.equal(['172.18.0.11']);
    expect(await chosen({ proxyMode: 'nftables' }, 'IPv4')).to.deep.equal(['172.18.0.11']);
  });

  it('makes node ports answer everywhere when primary is asked for and not known', async () => {
    const options = modelOptions(await config({ nodeportAddresses: 'primary' }), { nodeName: 'n', addresses }, 'IPv4');
    expect(options.nodePortAddresses).to.equal('all');
  });

  const detectors: [FlagValues, IPFamily, unknown][] = [
    [{ clusterCidr: '10.244.1.1/16,fd00::/48' }, 'IPv6', { kind: 'cidr', cidr: 'fd00::/48' }],
    [{ clusterCidr: '10.244.0.0/16' }, 'IPv6', undefined],
    [{ detectLocalMode: 'NodeCIDR' }, 'IPv4', { kind: 'cidr', cidr: '10.244.1.0/24' }],
    [{ detectLocalMode: 'NodeCIDR' }, 'IPv6', undefined],
    [{ detectLocalMode: 'BridgeInterface', podBridgeInterface: 'br0' }, 'IPv6', { kind: 'interface', name: 'br0' }],
    [
      { detectLocalMode: 'InterfaceNamePrefix', podInterfaceNamePrefix: 'veth' },
      'IPv4',
      { kind: 'interface-prefix', prefix: 'veth' },
    ],
  ];
  for (const [flags, family, expected] of detectors) {
    it(`${family} pods with ${JSON.stringify(flags)}`, async () => {
      const object = { ...dualStack, spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.1/24'] } };
      expect(
        modelOptions(await config(flags), { nodeName: 'n', node: object, addresses }, family).localDetector,
      ).to.deep.equal(expected);
    });
  }
});

describe('checkSanity', () => {
  const both: IPFamily[] = ['IPv4', 'IPv6'];
  const good = { clusterCidr: '10.0.0.0/8,fd00::/8', nodeportAddresses: 'primary' };
  const cases: [string, FlagValues, IPFamily[], RegExp[], RegExp[]][] = [
    ['nothing odd', good, both, [], []],
    ['no node port addresses', { ...good, nodeportAddresses: undefined }, both, [/nodePortAddresses is not set/], []],
    ['one family of node port addresses', { ...good, nodeportAddresses: '10.0.0.0/8' }, both, [/of IPv4 only/], []],
    [
      'the other family of node port addresses',
      { ...good, nodeportAddresses: 'fd00::/8' },
      both,
      [/no CIDR of IPv4/],
      [],
    ],
    ['no cluster CIDR', { ...good, clusterCidr: undefined }, both, [/clusterCIDR is not set/], []],
    [
      'a cluster CIDR of the other family',
      { ...good, clusterCidr: 'fd00::/8' },
      both,
      [/clusterCIDR has no CIDR of IPv4/],
      [],
    ],
    [
      'the same on a host with one family',
      { ...good, clusterCidr: 'fd00::/8' },
      ['IPv4'],
      [],
      [/clusterCIDR has no CIDR of IPv4/],
    ],
    [
      'a server address the host cannot have',
      { ...good, metricsBindAddress: '[::1]:10249' },
      ['IPv4'],
      [/metricsBindAddress is an address of IPv6/],
      [],
    ],
    [
      'a cluster CIDR of the one family that is kept, which is not the first of the Node',
      { ipFamily: 'IPv6', clusterCidr: 'fd00::/8', nodeportAddresses: 'fd00::/8' },
      ['IPv6'],
      [],
      [],
    ],
    ['node ports of one family on a host with one', { ...good, nodeportAddresses: '10.0.0.0/8' }, ['IPv4'], [], []],
    ['NodeCIDR without podCIDRs', { ...good, detectLocalMode: 'NodeCIDR' }, both, [/podCIDRs is not set/], []],
  ];
  for (const [title, flags, families, warnings, fatal] of cases) {
    it(title, async () => {
      const findings = checkSanity(await config(flags), dualStack, families);
      expect(findings.warnings).to.have.lengthOf(warnings.length);
      expect(findings.fatal).to.have.lengthOf(fatal.length);
      for (const [index, pattern] of warnings.entries()) expect(findings.warnings[index]).to.match(pattern);
      for (const [index, pattern] of fatal.entries()) expect(findings.fatal[index]).to.match(pattern);
      // What is odd, what follows, and nearly always what to do.
      for (const words of [...findings.warnings, ...findings.fatal]) {
        expect(words).to.match(/: (?:traffic|node ports) .*; \S|: nothing is served on it$/);
      }
    });
  }

  it('says that primary means all addresses while the Node has none', async () => {
    for (const object of [undefined, { ...dualStack, status: { addresses: [] } }]) {
      const { warnings } = checkSanity(await config(good), object, both);
      expect(warnings).to.have.lengthOf(1);
      expect(warnings[0]).to.match(/nodePortAddresses is primary, but .* node ports answer on all addresses/);
    }
  });

  it('refuses podCIDRs of the other family where they are what pods are told by', async () => {
    const object = { ...dualStack, spec: { podCIDRs: ['fd00:10:244::/64'] } };
    const { fatal } = checkSanity(await config({ ...good, detectLocalMode: 'NodeCIDR' }), object, both);
    expect(fatal).to.have.lengthOf(1);
    expect(fatal[0]).to.include('podCIDRs has no CIDR of IPv4');
  });
});

async function config(flags: FlagValues) {
  return (await parseConfig(flags, () => '')).config;
}

function node(...pairs: [type: string, address: string][]): Node {
  return { metadata: { name: 'node-1' }, status: { addresses: pairs.map(([type, address]) => ({ type, address })) } };
}
