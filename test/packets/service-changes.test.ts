import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createAgentLab, eventually, writeQuickConfiguration } from '../support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../support/agent-lab.ts';
import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { clientMemory } from './client-memory.ts';
import { judgeFlows } from './judge.ts';
import {
  both,
  flowsOf,
  healthPort,
  nodeIn,
  nodePort,
  podAddresses,
  slices,
  terminating,
  web,
} from './service-steps.ts';
import type { Sight, Step } from './service-steps.ts';

const settings = [
  { writer: 'iptables-nft', mode: 'iptables', variant: 'nft' },
  { writer: 'iptables-legacy', mode: 'iptables', variant: 'legacy' },
  { writer: 'nftables', mode: 'nftables', variant: 'nft' },
] as const;

const local = { externalTrafficPolicy: 'Local', healthCheckNodePort: healthPort };
const sticky = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } };
const proxyName = { 'service.kubernetes.io/service-proxy-name': 'another' };
const headless = { 'service.kubernetes.io/headless': '' };
const zone = (name: string) => ({ hints: { forZones: [{ name }] } });

const kept = { near: 'kept', far: 'kept' } as const;
const snat = { near: 'snat', far: 'snat' } as const;
const inside: readonly Sight[] = [
  ['pod', 'clusterIP', 80, kept],
  ['outside', 'clusterIP', 80, snat],
  ['near', 'clusterIP', 80, { near: 'snat', far: 'kept' }],
];
const noNodePort: Sight = ['outside', 'node', nodePort, 'reject'];
const noBalancer: Sight = ['outside', 'balancer', 80, 'pass'];
const absent: readonly Sight[] = [['pod', 'clusterIP', 80, 'pass'], noNodePort, noBalancer];
const nodePorts: Sight = ['outside', 'node', nodePort, snat];
const balanced: readonly Sight[] = [...inside, nodePorts, ['outside', 'balancer', 80, snat]];

const steps: readonly Step[] = [
  { title: 'begins as ExternalName', objects: [web('ExternalName'), ...slices({ near: {}, far: {} })], sights: absent },
  { title: 'ClusterIP', objects: [web('ClusterIP')], sights: [...inside, noNodePort, noBalancer] },
  { title: 'NodePort', objects: [web('NodePort')], sights: [...inside, nodePorts, noBalancer] },
  { title: 'LoadBalancer', objects: [web('LoadBalancer')], sights: balanced, health: 0 },
  {
    title: 'Local policy keeps the source',
    objects: [web('LoadBalancer', local)],
    sights: [
      ...inside,
      ['outside', 'balancer', 80, { near: 'kept' }],
      ['outside', 'node', nodePort, { near: 'kept' }],
      ['pod', 'balancer', 80, kept],
    ],
    health: 200,
  },
  {
    title: 'the endpoint here terminates: it serves on, and load balancers are told',
    objects: slices({ near: terminating, far: {} }),
    sights: [
      ['outside', 'balancer', 80, { near: 'kept' }],
      ['pod', 'clusterIP', 80, { far: 'kept' }],
    ],
    health: 503,
  },
  {
    title: 'no endpoint here',
    objects: slices({ far: {} }),
    sights: [
      ['outside', 'balancer', 80, 'drop'],
      ['outside', 'node', nodePort, 'drop'],
      ['pod', 'balancer', 80, { far: 'kept' }],
    ],
    health: 503,
  },
  {
    title: 'no endpoint anywhere',
    objects: slices({}),
    sights: [
      ['pod', 'clusterIP', 80, 'reject'],
      ['outside', 'balancer', 80, 'reject'],
      ['outside', 'node', nodePort, 'reject'],
    ],
    health: 503,
  },
  {
    title: 'Cluster policy, and source ranges',
    objects: [
      web('LoadBalancer', { loadBalancerSourceRanges: ['172.18.0.100/32', 'fd00:18::100/128'] }),
      ...slices({ near: {}, far: {} }),
    ],
    sights: [...balanced, ['stranger', 'balancer', 80, 'drop'], ['stranger', 'node', nodePort, snat]],
    health: 0,
  },
  { title: 'back to ClusterIP', objects: [web('ClusterIP')], sights: [...inside, noNodePort, noBalancer] },
  {
    title: 'the port is renamed before the slices follow',
    objects: [web('ClusterIP', { ports: [{ name: 'www', protocol: 'TCP', port: 80, targetPort: 'http' }] })],
    sights: [['pod', 'clusterIP', 80, 'reject']],
  },
  { title: 'the slices follow', objects: slices({ near: {}, far: {} }, '', {}, 'www'), sights: inside },
  {
    title: 'the name comes back, with session affinity',
    objects: [web('ClusterIP', sticky), ...slices({ near: {}, far: {} })],
    sights: [['pod', 'clusterIP', 80, kept]],
  },
  { title: 'without affinity', objects: [web('ClusterIP')], sights: inside },
  { title: 'it gets another proxy', objects: [web('ClusterIP', {}, { labels: proxyName })], sights: absent },
  { title: 'it is ours again', objects: [web('ClusterIP')], sights: inside },
  {
    title: 'its slices become headless',
    objects: slices({ near: {}, far: {} }, '', headless),
    sights: [['pod', 'clusterIP', 80, 'reject']],
  },
  {
    title: 'endpoints come back in two slices, one of them in both',
    objects: [...slices({ near: {}, far: {} }), ...slices({ far: {} }, '-2')],
    sights: inside,
  },
  {
    title: 'all endpoints move to the second slice, terminating twins stay',
    objects: [...slices({ near: terminating }), ...slices({ near: {}, far: {} }, '-2')],
    sights: inside,
  },
  {
    title: 'hints of zones count where the node is in one',
    objects: [...slices({}), ...slices({ near: zone('a'), far: zone('b') }, '-2')],
    sights: [['pod', 'clusterIP', 80, { near: 'kept' }]],
  },
  { title: 'the node moves', objects: [nodeIn('b')], sights: [['pod', 'clusterIP', 80, { far: 'kept' }]] },
  { title: 'the node is in no zone', objects: [nodeIn()], sights: [['pod', 'clusterIP', 80, kept]] },
  {
    title: 'IPv4 only',
    objects: [web('NodePort', { clusterIPs: [both('clusterIP')[0]], ipFamilies: ['IPv4'] })],
    sights: [
      ['pod', 'clusterIP', 80, kept, 'IPv4'],
      ['outside', 'node', nodePort, snat, 'IPv4'],
      ['pod', 'clusterIP', 80, 'pass', 'IPv6'],
      ['outside', 'node', nodePort, 'reject', 'IPv6'],
    ],
  },
  { title: 'both families', objects: [web('NodePort')], sights: [...inside, nodePorts] },
  {
    title: 'another Service takes address and node port over',
    objects: [
      web('NodePort', {}, { name: 'web2' }),
      ...slices({ near2: {} }, '-3', { 'kubernetes.io/service-name': 'web2' }),
    ],
    deleted: ['web'],
    sights: [
      ['pod', 'clusterIP', 80, { near2: 'kept' }],
      ['outside', 'node', nodePort, { near2: 'snat' }],
    ],
  },
  { title: 'nothing is left', deleted: ['web2'], sights: absent },
];

for (const { writer, mode, variant } of settings) {
  describe(`a Service that changes, in ${mode} mode (${variant}), with real packets of both families`, function () {
    this.timeout(60_000);
    let lab: Lab;
    let node: AgentLab;
    let agent: AgentProcess;

    before(async () => {
      lab = await createLab();
      await lab.listen(podAddresses.map((address) => ({ protocol: 'tcp' as const, address, port: 8080 })));
      node = await createAgentLab(lab.node);
      await node.api.set(nodeIn('a'));
      const config = writeQuickConfiguration(node, { mode, clusterCIDR: '10.244.0.0/16,fd00:10:244::/48' });
      agent = node.start('--config', config, '--iptables-variant', variant);
      const isReady = async () => (await node.api.get('http://127.0.0.1:10256/readyz')).status === 200;
      await eventually('ready', isReady, agent.log);
    });
    after(async () => {
      await node.remove();
      await lab.remove();
    });

    /** What is wrong once the agent had time; packets that met the rules from before are not held against it. */
    const wrongs = async ({ title, sights, health }: Step): Promise<readonly string[]> => {
      const flows = sights.flatMap((sight) => flowsOf(sight, title.endsWith('with session affinity')));
      let found: readonly string[] = [];
      for (let attempt = 0; attempt < 20; attempt++) {
        await sleep(150);
        const forgetClients = await clientMemory(lab, writer);
        const status = health === undefined ? undefined : (await node.api.get(healthUrl)).status;
        found = [
          ...(await judgeFlows({ lab, forgetClients, patienceMs: 2_000 }, flows)),
          ...(status === health ? [] : [`the health check port answers ${status}, expected ${health}`]),
        ];
        if (found.length === 0) break;
      }
      return found;
    };
    const healthUrl = `http://${both('node')[0]}:${healthPort}/`;

    for (const step of steps) {
      it(step.title, async () => {
        const { objects = [], deleted = [] } = step;
        for (const name of deleted) await node.api.tell({ order: 'delete', kind: 'Service', name });
        await node.api.set(...objects);
        expect(await wrongs(step), agent.log()).to.deep.equal([]);
      });
    }
  });
}
