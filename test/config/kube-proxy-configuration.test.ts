import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseConfig } from '../../src/config/config.ts';
import { configurationYaml } from '../../src/config/configuration-yaml.ts';
import { toJson } from '../../src/config/kube-proxy-configuration.ts';

const corpus = new URL('../corpus/http/', import.meta.url);

describe('a KubeProxyConfiguration', () => {
  for (const mode of ['iptables', 'nftables']) {
    it(`is shown as kube-proxy shows it in ${mode} mode`, async () => {
      const recorded = readFileSync(new URL(`${mode}-10249-configz.txt`, corpus), 'utf8');
      const body = recorded.slice(recorded.indexOf('{'));
      const { 'kubeproxy.config.k8s.io': shown } = JSON.parse(body) as Record<string, unknown>;
      const { config } = await parseConfig({ config: 'f' }, () => JSON.stringify(shown));
      expect(JSON.stringify({ 'kubeproxy.config.k8s.io': toJson(config.configuration) })).to.equal(body.trim());
    });
  }

  it('reads back from the file it is written to', async () => {
    const { config, warnings } = await parseConfig(
      {
        proxyMode: 'nftables',
        clusterCidr: '10.0.0.0/8,fd00::/8',
        vmodule: 'a*=1',
        featureGates: 'AllowServiceExternalIPs=false,LoggingAlphaOptions=true',
        logTextSplitStream: true,
        hostnameOverride: 'yes',
        nodeportAddresses: '10.0.0.0/8',
        conntrackTcpTimeoutEstablished: '0',
      },
      () => '',
    );
    const written = configurationYaml(config.configuration);
    const again = await parseConfig({ config: 'f' }, () => written);
    expect(again.warnings).to.deep.equal(warnings);
    expect(again.config).to.deep.equal({ ...config, configFile: { path: 'f', text: written } });
  });

  it('is written without what is not set', async () => {
    const { config } = await parseConfig({}, () => '');
    const json = toJson(config.configuration);
    expect(json).not.to.have.any.keys('featureGates', 'windowsRunAsService');
    expect(json).to.deep.include({ nodePortAddresses: null, configSyncPeriod: '15m0s' });
  });
});
