import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadAll } from 'js-yaml';
import { createAgentLab, eventually } from '../support/agent-lab.ts';
import type { AgentLab } from '../support/agent-lab.ts';
import { corpusAddresses, corpusFile } from '../support/corpus.ts';
import type { ApiObject } from '../support/fake-api-storage.ts';

const tools = [
  ['iptables-nft', 'iptables.rules'],
  ['ip6tables-nft', 'ip6tables.rules'],
] as const;

describe('a node with the rules of kube-proxy', function () {
  this.timeout(60_000);
  let lab: AgentLab;

  beforeEach(async () => {
    lab = await createAgentLab('takeover');
  });
  afterEach(() => lab.remove());

  /** Makes the node that was recorded: its addresses, its rules, and what its kernel was set to. */
  async function makeNode(name: string): Promise<void> {
    const { namespace } = lab;
    for (const address of corpusAddresses.slice(0, -2)) {
      await namespace.mustExec('ip', 'address', 'add', address, 'dev', 'lo');
    }
    const dropsInvalid = corpusFile(name, 'iptables.rules').includes('--ctstate INVALID');
    await namespace.mustExec('sysctl', '-qw', `net.netfilter.nf_conntrack_tcp_be_liberal=${dropsInvalid ? 0 : 1}`);
    for (const counter of ['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts']) {
      await namespace.mustExec('nfacct', 'add', counter);
    }
    for (const [tool, file] of tools) {
      const path = join(lab.directory, file);
      writeFileSync(path, corpusFile(name, file));
      await namespace.mustExec(`${tool}-restore`, path);
    }
  }

  async function live(): Promise<string> {
    const listings = [];
    for (const [tool] of tools) listings.push(await lab.namespace.mustExec(`${tool}-save`));
    return listings.join('').replace(/^#.*\n|\[\d+:\d+\]/gm, '');
  }

  for (const name of [
    'detect-local-bridge',
    'dual-stack',
    'ipv6-only',
    'loadbalancer-source-ranges-with-node',
    'nodeport-addresses',
    'random-05',
    'session-affinity',
    'terminating-endpoints',
    'topology-zone-hints',
  ]) {
    it(`is taken over with its configuration file, and no rule is written: ${name}`, async () => {
      await makeNode(name);
      await lab.api.set(...(loadAll(corpusFile(name, 'state.yaml')) as ApiObject[]));
      const config = join(lab.directory, 'config.conf');
      writeFileSync(config, corpusFile(name, 'config.yaml'));
      const before = await live();
      const agent = lab.start('--config', config, '--iptables-variant', 'nft', '-v', '2');
      const isReady = async () => (await lab.api.get('http://127.0.0.1:10256/readyz')).status === 200;
      await eventually('ready', isReady, agent.log);
      expect(agent.log())
        .to.match(/are as they should be" family="IPv4"/)
        .and.to.match(/should be" family="IPv6"/);
      expect(agent.log()).not.to.include('"rules synced"');
      expect(await live()).to.equal(before);
    });
  }
});
