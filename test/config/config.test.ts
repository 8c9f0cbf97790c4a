import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { ConfigError } from '../../src/config/config-error.ts';
import { parseConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/config.ts';
import type { FlagValues } from '../../src/config/flags.ts';
import { configurationFields } from '../../src/config/kube-proxy-configuration.ts';

const corpus = new URL('../corpus/config/', import.meta.url);
const head = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';

describe('parseConfig', () => {
  describe('starts or not as kube-proxy did with', () => {
    const names = readdirSync(corpus).filter((name) => name.endsWith('.yaml'));
    // kube-proxy gave up on ipvs only later, where the kernel lacks it; we have no such mode at all.
    for (const name of names) {
      it(name, async () => {
        const answer = JSON.parse(readFileSync(new URL(name.replace('.yaml', '.answer.json'), corpus), 'utf8')) as {
          starts: boolean;
        };
        const given = { config: name };
        if (answer.starts) await parse(given, readFileSync(new URL(name, corpus), 'utf8'));
        else expect(await problems(given, readFileSync(new URL(name, corpus), 'utf8'))).to.have.lengthOf(1);
      });
    }
  });

  describe('says what is wrong where', () => {
    const cases: [string, string][] = [
      [
        'mode: ipvs',
        'proxy.yaml:3: mode: got "ipvs", which Portwright does not have; use iptables or nftables (nftables scales best)',
      ],
      ['mode: ebpf', 'proxy.yaml:3: mode: got "ebpf", expected iptables or nftables (iptables when left out)'],
      [
        'bindAddress: 1.2.3',
        'proxy.yaml:3: bindAddress: got "1.2.3", expected an IP address without brackets and port',
      ],
      ['iptables: {masqueradeAll: "yes"}', 'proxy.yaml:3: iptables.masqueradeAll: got "yes", expected true or false'],
      [
        'iptables:\n  masqueradeBit: 32',
        'proxy.yaml:4: iptables.masqueradeBit: got 32, expected a number from 0 to 31',
      ],
      [
        'iptables: {minSyncPeriod: 60s}',
        'proxy.yaml: iptables.syncPeriod: got "30s", expected at least 1m0s, the iptables.minSyncPeriod',
      ],
      [
        'iptables: {syncPeriod: -1s, minSyncPeriod: -2s}',
        'proxy.yaml:3: iptables.syncPeriod: got "-1s", expected a duration longer than 0s',
      ],
      [
        'iptables: {syncPeriod: 30}',
        'proxy.yaml:3: iptables.syncPeriod: got 30, expected a duration such as "30s", "1m30s" or "300ms"',
      ],
      [
        'iptables: {syncPeriod: null}',
        'proxy.yaml:3: iptables.syncPeriod: got null, expected a duration such as "30s", "1m30s" or "300ms"',
      ],
      ['iptables: [1]', 'proxy.yaml:3: iptables: got [1], expected an object with fields'],
      [
        'mode: nftables\nnftables: {masqueradeBit: -1}',
        'proxy.yaml:4: nftables.masqueradeBit: got -1, expected a number from 0 to 31',
      ],
      ['configSyncPeriod: -1s', 'proxy.yaml:3: configSyncPeriod: got "-1s", expected a duration longer than 0s'],
      ['oomScoreAdj: 1001', 'proxy.yaml:3: oomScoreAdj: got 1001, expected a number from -1000 to 1000'],
      ['oomScoreAdj: 1.5', 'proxy.yaml:3: oomScoreAdj: got 1.5, expected a whole number of 32 bits'],
      ['oomScoreAdj: 3000000000', 'proxy.yaml:3: oomScoreAdj: got 3000000000, expected a whole number of 32 bits'],
      [
        'conntrack: {min: -1}',
        'proxy.yaml:3: conntrack.min: got -1, expected a number that is not negative (0: leave as it is)',
      ],
      [
        'conntrack: {udpTimeout: -1s}',
        'proxy.yaml:3: conntrack.udpTimeout: got "-1s", expected a duration that is not negative (0s: leave as it is)',
      ],
      [
        'clientConnection: {burst: -1}',
        'proxy.yaml:3: clientConnection.burst: got -1, expected a number that is not negative',
      ],
      ['clientConnection: {qps: fast}', 'proxy.yaml:3: clientConnection.qps: got "fast", expected a number'],
      [
        'healthzBindAddress: 0.0.0.0:0',
        'proxy.yaml:3: healthzBindAddress: got "0.0.0.0:0", expected IP:port with a port from 1 to 65535, for instance 0.0.0.0:10256 or [::]:10256',
      ],
      [
        'metricsBindAddress: ":10249"',
        'proxy.yaml:3: metricsBindAddress: got ":10249", expected IP:port with a port from 1 to 65535, for instance 0.0.0.0:10256 or [::]:10256',
      ],
      [
        'nodePortAddresses: [192.168.0.1]',
        'proxy.yaml:3: nodePortAddresses[0]: got "192.168.0.1", expected a CIDR such as 192.168.0.1/32, or the single word primary',
      ],
      [
        'nodePortAddresses: [primary, 10.0.0.0/8]',
        'proxy.yaml:3: nodePortAddresses: got "primary,10.0.0.0/8", expected primary alone, or only CIDRs',
      ],
      ['nodePortAddresses: primary', 'proxy.yaml:3: nodePortAddresses: got "primary", expected a list of strings'],
      [
        'showHiddenMetricsForVersion: "1.34"',
        'proxy.yaml:3: showHiddenMetricsForVersion: got "1.34", expected nothing or 1.35, the previous minor version',
      ],
      [
        'detectLocalMode: Magic',
        'proxy.yaml:3: detectLocalMode: got "Magic", expected one of ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix',
      ],
      [
        'detectLocalMode: BridgeInterface',
        'proxy.yaml: detectLocal.bridgeInterface: got "", expected 1 to 15 letters, digits or _ . @ - (needed with this detectLocalMode)',
      ],
      [
        'detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: "!eth"}',
        'proxy.yaml:4: detectLocal.interfaceNamePrefix: got "!eth", expected 1 to 14 letters, digits or _ . @ - (needed with this detectLocalMode)',
      ],
      [
        'clusterCIDR: 10.0.0.0/33',
        'proxy.yaml:3: clusterCIDR: got "10.0.0.0/33", expected a CIDR such as 10.244.0.0/16 or fd00:10:244::/56',
      ],
      [
        'clusterCIDR: 10.0.0.0/8, fd00::/8',
        'proxy.yaml:3: clusterCIDR: got " fd00::/8", expected a CIDR such as 10.244.0.0/16 or fd00:10:244::/56',
      ],
      [
        'clusterCIDR: 10.0.0.0/8,11.0.0.0/8',
        'proxy.yaml:3: clusterCIDR: got "10.0.0.0/8,11.0.0.0/8", expected one CIDR, or two with a comma between, one IPv4 and one IPv6',
      ],
      [
        'featureGates: {MultiCIDRServiceAllocator: false}',
        'proxy.yaml:3: featureGates.MultiCIDRServiceAllocator: MultiCIDRServiceAllocator is locked and cannot be changed; leave it out',
      ],
      ['featureGates: {A: 1}', 'proxy.yaml:3: featureGates: got {"A":1}, expected names with the values true or false'],
      ['logging: {format: xml}', 'proxy.yaml:3: logging.format: got "xml", expected text or json'],
      [
        'logging: {flushFrequency: -1s}',
        'proxy.yaml:3: logging.flushFrequency: got "-1s", expected a duration longer than 0s',
      ],
      [
        'logging: {flushFrequency: 9223372036854775808}',
        'proxy.yaml:3: logging.flushFrequency: got 9223372036854776000, expected a duration such as "30s", "1m30s" or "300ms"',
      ],
      [
        'logging: {vmodule: [{}]}',
        'proxy.yaml: logging.vmodule[0].filePattern: got "", expected a file name pattern without = and ,',
      ],
      [
        'logging: {format: json, vmodule: [{filePattern: a, verbosity: 1}]}',
        'proxy.yaml:3: logging.vmodule: it works with the format text only',
      ],
      [
        'logging: {options: {json: {splitStream: true}}}',
        'proxy.yaml:3: logging.options.json.splitStream: got true, expected nothing but the default without the feature gate LoggingAlphaOptions',
      ],
      ['hostnameOverride: "  "', 'proxy.yaml:3: hostnameOverride: got only blanks, expected the name of a node'],
      ['hostnameOverride: 5', 'proxy.yaml:3: hostnameOverride: got 5, expected a string'],
    ];
    for (const [yaml, expected] of cases) {
      it(yaml.replaceAll('\n', ' '), async () => {
        expect(await problems({ config: 'proxy.yaml' }, head + yaml)).to.include(expected);
      });
    }

    it('a file of another kind or version, empty, broken or nested beyond reason', async () => {
      const given = { config: 'proxy.yaml' };
      expect(await problems(given, '')).to.deep.equal([
        'proxy.yaml: not a readable YAML document: it is empty, or nested too deeply',
      ]);
      expect(await problems(given, 'kind: KubeletConfiguration\napiVersion: v1')).to.deep.equal([
        'proxy.yaml:1: kind: got "KubeletConfiguration", expected KubeProxyConfiguration',
        'proxy.yaml:2: apiVersion: got "v1", expected kubeproxy.config.k8s.io/v1alpha1',
      ]);
      expect(await problems(given, '- 1')).to.have.lengthOf(2);
      expect((await problems(given, 'a: [1'))[0]).to.match(/^proxy\.yaml: not a readable YAML document: .*line 1/);
      expect(await problems(given, '['.repeat(100_000))).to.have.lengthOf(1);
      expect(await problems(given, `${head}a: *none`)).to.have.lengthOf(1);
    });

    it('all problems at once, of file and flags', async () => {
      const found = await problems(
        { config: 'proxy.yaml', ipFamily: 'IPv5', v: 'much' },
        `${head}mode: ebpf\noomScoreAdj: 5000\n`,
      );
      expect(found.map((problem) => problem.replace(/: (?:got|expected).*/, ''))).to.deep.equal([
        'invalid argument "much" for "-v, --v" flag',
        '--ip-family',
        'proxy.yaml:3: mode',
        'proxy.yaml:4: oomScoreAdj',
      ]);
    });

    it('a file that cannot be read', async () => {
      const error = await failure(
        parseConfig({ config: 'gone.yaml' }, () => {
          throw new Error('ENOENT: no such file');
        }),
      );
      expect(error.problems).to.deep.equal(['--config: cannot read gone.yaml: ENOENT: no such file']);
      expect(error.exitCode).to.equal(2);
    });
  });

  describe('of flags alone', () => {
    it('has the defaults of kube-proxy', async () => {
      const { configuration, ...config } = await configOf({});
      expect(configuration.mode).to.equal('iptables');
      expect({ ...config, featureGates: undefined }).to.deep.equal({
        mode: 'iptables',
        cleanup: false,
        initOnly: false,
        bindAddress: '0.0.0.0',
        healthzBindAddress: { address: '0.0.0.0', port: 10256 },
        metricsBindAddress: { address: '127.0.0.1', port: 10249 },
        bindAddressHardFail: false,
        syncPeriodMs: 30_000,
        minSyncPeriodMs: 1_000,
        masqueradeBit: 14,
        masqueradeAll: false,
        localhostNodePorts: true,
        detectLocal: { mode: 'ClusterCIDR', clusterCIDRs: [] },
        nodePortAddresses: [],
        conntrack: {
          maxPerCore: 32768,
          min: 131072,
          tcpEstablishedTimeoutMs: 86_400_000,
          tcpCloseWaitTimeoutMs: 3_600_000,
          udpTimeoutMs: 0,
          udpStreamTimeoutMs: 0,
          tcpBeLiberal: false,
        },
        oomScoreAdj: -999,
        logging: { format: 'text', verbosity: 0 },
        featureGates: undefined,
        ipFamilies: ['IPv4', 'IPv6'],
        iptablesVariant: 'auto',
        serviceClusterIPRanges: ['10.96.0.0/12', 'fd00:10:96::/108'],
        nodePortRange: { first: 30000, last: 32767 },
        namespace: 'default',
        nfacct: false,
      });
      expect(config.featureGates.get('AllowServiceExternalIPs')).to.be.true;
    });

    const cases: [FlagValues, Partial<Config>][] = [
      [{ proxyMode: 'nftables' }, { mode: 'nftables', nodePortAddresses: ['primary'] }],
      [{ proxyMode: 'nftables', nodeportAddresses: '10.1.2.3/8' }, { nodePortAddresses: ['10.0.0.0/8'] }],
      [
        { nodeportAddresses: ['10.0.0.0/8,fd00::/8', '11.0.0.0/8'] },
        { nodePortAddresses: ['10.0.0.0/8', 'fd00::/8', '11.0.0.0/8'] },
      ],
      [
        { proxyMode: 'nftables', masqueradeAll: true, iptablesSyncPeriod: '10s', iptablesMinSyncPeriod: '2s' },
        { masqueradeAll: true, syncPeriodMs: 10_000, minSyncPeriodMs: 2_000 },
      ],
      [{ iptablesMinSyncPeriod: '0' }, { minSyncPeriodMs: 0 }],
      [{ proxyMode: 'nftables', iptablesMasqueradeBit: '3' }, { masqueradeBit: 14 }],
      [{ iptablesMasqueradeBit: '0x1f' }, { masqueradeBit: 31 }],
      [{ masqueradeAll: 'T' }, { masqueradeAll: true }],
      [{ iptablesLocalhostNodeports: 'false' }, { localhostNodePorts: false }],
      [
        { healthzBindAddress: '', metricsBindAddress: '' },
        {
          healthzBindAddress: { address: '0.0.0.0', port: 10256 },
          metricsBindAddress: { address: '127.0.0.1', port: 10249 },
        },
      ],
      [{ healthzBindAddress: '::1', healthzPort: '99' }, { healthzBindAddress: { address: '::1', port: 99 } }],
      [
        { healthzBindAddress: '10.0.0.1:5', healthzPort: '99' },
        { healthzBindAddress: { address: '10.0.0.1', port: 5 } },
      ],
      [{ bindAddress: 'fd00::1' }, { bindAddress: 'fd00::1', healthzBindAddress: { address: '0.0.0.0', port: 10256 } }],
      [{ bindAddress: '' }, { bindAddress: '0.0.0.0' }],
      [{ hostnameOverride: ' Node-1 ' }, { nodeNameOverride: 'node-1' }],
      [
        { detectLocalMode: 'BridgeInterface', podBridgeInterface: 'cbr0' },
        { detectLocal: { mode: 'BridgeInterface', bridge: 'cbr0' } },
      ],
      [
        { detectLocalMode: 'InterfaceNamePrefix', podInterfaceNamePrefix: 'veth' },
        { detectLocal: { mode: 'InterfaceNamePrefix', prefix: 'veth' } },
      ],
      [{ detectLocalMode: 'NodeCIDR' }, { detectLocal: { mode: 'NodeCIDR' } }],
      [
        { clusterCidr: '10.244.0.1/16,fd00::1/48' },
        { detectLocal: { mode: 'ClusterCIDR', clusterCIDRs: ['10.244.0.0/16', 'fd00::/48'] } },
      ],
      [
        { vmodule: 'sync=4,dri*=5', v: '2' },
        {
          logging: {
            format: 'text',
            verbosity: 2,
          },
        },
      ],
      [
        { kubeconfig: '/k', master: 'https://x:6443' },
        { kubeconfig: '/k', master: 'https://x:6443' },
      ],
      [{ nodeAddresses: '172.18.0.011, FD00::1' }, { nodeAddresses: ['172.18.0.11', 'fd00::1'] }],
      [{ ipFamily: 'ipv6' }, { ipFamilies: ['IPv6'] }],
      [
        { iptablesVariant: 'legacy', nfacct: true, namespace: 'shop' },
        { iptablesVariant: 'legacy', nfacct: true, namespace: 'shop' },
      ],
      [
        { serviceClusterIpRange: '10.0.0.1/24', serviceNodePortRange: '20000-20010' },
        { serviceClusterIPRanges: ['10.0.0.0/24'], nodePortRange: { first: 20000, last: 20010 } },
      ],
      [
        { cleanup: true, initOnly: 'true', writeConfigTo: '/x' },
        { cleanup: true, initOnly: true, writeConfigTo: '/x' },
      ],
    ];
    for (const [given, expected] of cases) {
      it(`takes ${JSON.stringify(given)}`, async () => {
        expect(await configOf(given)).to.deep.include(expected);
      });
    }

    it('serves no health with port 0, but always metrics', async () => {
      expect(await configOf({ healthzPort: '0' })).not.to.have.property('healthzBindAddress');
      expect(await problems({ metricsPort: '0' })).to.have.lengthOf(1);
    });

    const refused: [FlagValues, string][] = [
      [{ masqueradeAll: 'yes' }, 'invalid argument "yes" for "--masquerade-all" flag: expected true or false'],
      [{ iptablesMasqueradeBit: '32' }, '--iptables-masquerade-bit: got 32, expected a number from 0 to 31'],
      [
        { configSyncPeriod: '5' },
        'invalid argument "5" for "--config-sync-period" flag: expected a duration such as 30s, 1m30s or 300ms',
      ],
      [{ bindAddress: 'localhost' }, 'invalid argument "localhost" for "--bind-address" flag: expected an IP address'],
      [{ healthzPort: '08' }, 'invalid argument "08" for "--healthz-port" flag: expected a whole number of 32 bits'],
      [
        { v: '0x10' },
        'invalid argument "0x10" for "-v, --v" flag: expected a whole number from 0 to 2147483647, digits only',
      ],
      [
        { featureGates: 'AllowServiceExternalIPs' },
        'invalid argument "AllowServiceExternalIPs" for "--feature-gates" flag: expected name=true or name=false, with commas',
      ],
      [
        { nodeportAddresses: 'x' },
        '--nodeport-addresses: got "x", expected a CIDR such as 192.168.0.0/16, or the single word primary',
      ],
      [
        { detectLocalMode: 'BridgeInterface' },
        '--pod-bridge-interface: got "", expected 1 to 15 letters, digits or _ . @ - (needed with this detectLocalMode)',
      ],
      [{ hostnameOverride: ' ' }, '--hostname-override: got only blanks, expected the name of a node'],
      [
        { proxyMode: 'ipvs' },
        '--proxy-mode: got "ipvs", which Portwright does not have; use iptables or nftables (nftables scales best)',
      ],
      [{ nodeAddresses: 'node-1' }, '--node-addresses: got ["node-1"], expected IP addresses, with commas'],
      [{ iptablesVariant: 'xt' }, '--iptables-variant: got "xt", expected auto, nft or legacy'],
      [
        { serviceClusterIpRange: '10.0.0.0/8,11.0.0.0/8' },
        '--service-cluster-ip-range: got ["10.0.0.0/8","11.0.0.0/8"], expected one CIDR, or two with a comma between, one IPv4 and one IPv6',
      ],
      [
        { serviceNodePortRange: '32767-30000' },
        '--service-node-port-range: got "32767-30000", expected FIRST-LAST with ports from 1 to 65535, for instance 30000-32767',
      ],
      [{ namespace: 'A b' }, '--namespace: got "A b", expected the name of a namespace'],
    ];
    for (const [given, expected] of refused) {
      it(`refuses ${JSON.stringify(given)}`, async () => {
        expect(await problems(given)).to.deep.equal([expected]);
      });
    }
  });

  describe('of a file', () => {
    it('ignores most flags, with a warning', async () => {
      const { config, warnings } = await parse(
        { config: 'f', masqueradeAll: true, clusterCidr: '10.0.0.0/8', nodeportAddresses: 'primary' },
        `${head}iptables: {masqueradeAll: false}`,
      );
      expect(config).to.deep.include({ masqueradeAll: false, nodePortAddresses: [] });
      expect(warnings).to.deep.equal([
        '--masquerade-all, --cluster-cidr, --nodeport-addresses: ignored, because --config is given',
      ]);
    });

    it('gives way to --proxy-mode, --kubeconfig, --master, --hostname-override, logging and our own flags', async () => {
      const text = `${head}mode: iptables\nhostnameOverride: file\nclientConnection: {kubeconfig: /file}\nnftables: {syncPeriod: 9s}\nlogging: {verbosity: 1, vmodule: [{filePattern: b, verbosity: 2}]}`;
      const { config, warnings } = await parse(
        {
          config: 'f',
          proxyMode: 'nftables',
          kubeconfig: '/flag',
          master: 'https://m',
          hostnameOverride: 'Flag',
          v: '7',
          vmodule: 'a=1',
          ipFamily: 'IPv4',
        },
        text,
      );
      expect(config).to.deep.include({
        mode: 'nftables',
        kubeconfig: '/flag',
        master: 'https://m',
        nodeNameOverride: 'flag',
        ipFamilies: ['IPv4'],
        syncPeriodMs: 9_000,
        nodePortAddresses: ['primary'],
        configFile: { path: 'f', text },
      });
      expect(config.logging.verbosity).to.equal(7);
      expect(config.configuration.logging.vmodule.map(({ filePattern }) => filePattern)).to.deep.equal(['a', 'b']);
      expect(warnings.join()).not.to.include('ignored');
    });

    it('is not overridden by empty flags', async () => {
      const { config } = await parse(
        { config: 'f', proxyMode: '', kubeconfig: '', hostnameOverride: '' },
        `${head}mode: nftables\nhostnameOverride: file`,
      );
      expect(config).to.deep.include({ mode: 'nftables', nodeNameOverride: 'file' });
    });

    it('has server addresses of the family of bindAddress', async () => {
      const cases: [string, string, string][] = [
        ['', '0.0.0.0 10256', '127.0.0.1 10249'],
        ['bindAddress: fd00::1', ':: 10256', '::1 10249'],
        ['bindAddress: fd00::1\nhealthzBindAddress: 10.0.0.1\nmetricsBindAddress: "[::]:5"', '10.0.0.1 10256', ':: 5'],
      ];
      for (const [yaml, healthz, metrics] of cases) {
        const { config } = await parse({ config: 'f' }, head + yaml);
        const shown = [config.healthzBindAddress, config.metricsBindAddress].map(
          (bind) => `${bind!.address} ${bind!.port}`,
        );
        expect(shown).to.deep.equal([healthz, metrics]);
      }
    });

    it('takes its periods and masqueradeAll from the section of the mode', async () => {
      const yaml = `${head}iptables: {syncPeriod: 5s, minSyncPeriod: 0s, masqueradeAll: true, masqueradeBit: 1}\nnftables: {syncPeriod: 7s, masqueradeBit: 2}\n`;
      expect((await parse({ config: 'f' }, yaml)).config).to.deep.include({
        syncPeriodMs: 5_000,
        minSyncPeriodMs: 1_000,
        masqueradeAll: true,
        masqueradeBit: 1,
      });
      expect((await parse({ config: 'f', proxyMode: 'nftables' }, yaml)).config).to.deep.include({
        syncPeriodMs: 7_000,
        minSyncPeriodMs: 1_000,
        masqueradeAll: false,
        masqueradeBit: 2,
      });
    });

    it('names what it does not know and what was meant', async () => {
      const yaml = `${head}mode: iptables\nclustercidr: 10.0.0.0/8\nmasqueradeAll: true\nwhatever: 1\niptables: {syncperiods: 1s}\nfeatureGates: {AllowServiceExternalIP: false}\nmode: nftables\n---\nkind: X\n`;
      const { config, warnings } = await parse({ config: 'f' }, yaml);
      expect(config.mode).to.equal('nftables');
      expect(warnings).to.have.members([
        'f: only the first of its YAML documents is read',
        'f:9: mode: given more than once; the last one counts',
        'f:4: clustercidr: unknown field, ignored; did you mean clusterCIDR?',
        'f:5: masqueradeAll: unknown field, ignored; did you mean iptables.masqueradeAll?',
        'f:6: whatever: unknown field, ignored',
        'f:7: iptables.syncperiods: unknown field, ignored; did you mean iptables.syncPeriod?',
        'feature gate AllowServiceExternalIP has no effect here; did you mean AllowServiceExternalIPs?',
      ]);
    });

    it('warns once of what means nothing here, not of what kubeadm writes', async () => {
      const kubeadm = `${head}ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpTimeout: 0s}\nwinkernel: {enableDSR: false, networkName: ""}\n`;
      expect((await parse({ config: 'f' }, kubeadm)).warnings).to.deep.equal([]);
      const { warnings } = await parse(
        { config: 'f' },
        `${head}ipvs: {scheduler: rr, strictARP: true}\nwinkernel: {enableDSR: true}`,
      );
      expect(warnings).to.deep.equal([
        'ipvs.scheduler, ipvs.strictARP, winkernel.enableDSR: no effect; Portwright has the modes iptables and nftables, on Linux',
      ]);
      const profiled = await parse({ profiling: 'true', vmodule: 'a=1', logFlushFrequency: '1s' }, '');
      expect(profiled.warnings).to.deep.equal([
        'enableProfiling, logging.vmodule: no effect; Portwright logs by -v alone, to the standard error, and serves no profiles',
      ]);
    });

    it('warns that the pace of requests is fixed, where another one than the default is asked for', async () => {
      const warningsOf = async (connection: string) =>
        (await parse({ config: 'f' }, `${head}clientConnection: {${connection}}`)).warnings;
      expect(await warningsOf('qps: 5, burst: 10')).to.deep.equal([]);
      expect(await warningsOf('qps: 0, burst: 0')).to.deep.equal([]);
      expect(await warningsOf('qps: 50, burst: 100')).to.deep.equal([
        'clientConnection.qps, clientConnection.burst: no effect; Portwright asks the API server for each kind of object once a second at most, and posts an Event each five seconds after the first 25',
      ]);
      expect((await parse({ kubeApiQps: '1.5' }, '')).warnings.join()).to.match(/^clientConnection.qps: no effect/);
    });

    it('warns of a feature that is not served, where it is switched on', async () => {
      const warningsOf = async (on: boolean) =>
        (await parse({ config: 'f' }, `${head}featureGates: {NativeHistograms: ${String(on)}}`)).warnings;
      expect(await warningsOf(true)).to.deep.equal(['feature gate NativeHistograms has no effect here']);
      expect(await warningsOf(false)).to.deep.equal([]);
    });

    it('takes 0 for the verbosity that a pattern for single files leaves out', async () => {
      const text = `${head}logging: {vmodule: [{filePattern: a*}, {filePattern: b, verbosity: 2, level: 3}]}`;
      const { config } = await parse({ config: 'f' }, text);
      expect(config.configuration.logging.vmodule).to.deep.equal([
        { filePattern: 'a*', verbosity: 0 },
        { filePattern: 'b', verbosity: 2 },
      ]);
    });

    it('reads the words that YAML 1.1 has for true, and JSON', async () => {
      expect((await parse({ config: 'f' }, `${head}iptables: {masqueradeAll: yes}`)).config.masqueradeAll).to.be.true;
      const json = JSON.stringify({
        kind: 'KubeProxyConfiguration',
        apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
        logging: { flushFrequency: 2e9 },
      });
      expect((await parse({ config: 'f' }, json)).config.configuration.logging.flushFrequency).to.equal(2_000_000_000n);
    });
  });

  it('never fails but with a ConfigError, whatever a file holds', async () => {
    const names = [...Object.keys(configurationFields.fields), '__proto__', 'toString'];
    const values = fc.dictionary(fc.constantFrom(...names), fc.jsonValue());
    await fc.assert(
      fc.asyncProperty(values, fc.string(), async (fields, text) => {
        const json = JSON.stringify({ ...fields, kind: 'KubeProxyConfiguration' });
        for (const content of [json, head + text]) {
          const given = { config: 'f' };
          await parse(given, content).catch((error: unknown) => {
            expect(error).to.be.instanceOf(ConfigError);
          });
        }
      }),
    );
  });

  it('gives every gate of a stage what AllAlpha and AllBeta say, unless named itself', async () => {
    const { featureGates } = await configOf({ featureGates: 'AllAlpha=true,AllBeta=false,ComponentFlagz=true' });
    const shown = ['NativeHistograms', 'ComponentStatusz', 'ComponentFlagz', 'AllowServiceExternalIPs'].map((name) =>
      featureGates.get(name),
    );
    expect(shown).to.deep.equal([true, false, true, true]);
  });
});

async function parse(given: FlagValues, content = '') {
  return parseConfig(given, () => content);
}

async function configOf(given: FlagValues): Promise<Config> {
  return (await parse(given)).config;
}

async function problems(given: FlagValues, content = ''): Promise<readonly string[]> {
  return (await failure(parse(given, content))).problems;
}

async function failure(parsing: Promise<unknown>): Promise<ConfigError> {
  try {
    await parsing;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('expected a ConfigError, but the configuration was accepted');
}
