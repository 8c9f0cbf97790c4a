import { expect } from 'chai';
import { createAgentLab, eventually } from '../support/agent-lab.ts';
import type { AgentLab, AgentProcess } from '../support/agent-lab.ts';
import type { ApiObject } from '../support/fake-api-storage.ts';
import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import type { Outcome } from '../support/prober-messages.ts';

type Family = 'IPv4' | 'IPv6';

const families: readonly Family[] = ['IPv4', 'IPv6'];
const flowsPerRoute = 12;
const pods = { IPv4: ['10.244.1.11', '10.244.1.12'], IPv6: ['fd00:10:244:1::11', 'fd00:10:244:1::12'] };
const clients = { IPv4: '10.244.1.13', IPv6: 'fd00:10:244:1::13' };
const outsiders = { IPv4: '172.18.0.100', IPv6: 'fd00:18::100' };
const nodes = { IPv4: '172.18.0.11', IPv6: 'fd00:18::11' };
const dns = { name: 'dns', clusterIPs: { IPv4: '10.96.0.10', IPv6: 'fd00:10:96::a' }, nodePort: 30_053 };
const late = { name: 'late', clusterIPs: { IPv4: '10.96.0.20', IPv6: 'fd00:10:96::14' }, nodePort: 30_054 };

/** A flow by its client's port, and who answers on it. */
interface Route {
  readonly family: Family;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
}

/** From a pod to the cluster IP, and from outside to the node port, in both families. */
function routesTo({ clusterIPs, nodePort }: typeof dns): readonly Route[] {
  return families.flatMap((family) => [
    { family, source: clients[family], destination: clusterIPs[family], port: 53 },
    { family, source: outsiders[family], destination: nodes[family], port: nodePort },
  ]);
}

function serviceObject({ name, clusterIPs, nodePort }: typeof dns): ApiObject {
  return {
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: {
      type: 'NodePort',
      clusterIP: clusterIPs.IPv4,
      clusterIPs: [clusterIPs.IPv4, clusterIPs.IPv6],
      ipFamilies: families,
      ports: [{ name: 'dns', protocol: 'UDP', port: 53, targetPort: 5353, nodePort }],
    },
    status: { loadBalancer: {} },
  };
}

/** A slice for each family; `served` are the numbers of the pods. */
function slices({ name }: typeof dns, served: readonly number[]): readonly ApiObject[] {
  return families.map((family) => ({
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${family.toLowerCase()}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: family,
    endpoints: served.map((pod) => ({
      addresses: [pods[family][pod]],
      conditions: { ready: true },
      nodeName: 'node-1',
    })),
    ports: [{ name: 'dns', protocol: 'UDP', port: 5353 }],
  }));
}

const settings = [
  { name: 'iptables', args: ['--iptables-variant', 'nft'] },
  { name: 'nftables', args: ['--proxy-mode', 'nftables'] },
];

for (const { name, args } of settings) {
  describe(`UDP flows of Services in ${name} mode, with real packets`, function () {
    this.timeout(120_000);
    let lab: Lab;
    let node: AgentLab;
    let agent: AgentProcess;

    before(async () => {
      lab = await createLab();
      // A flow ends because it was removed, not because the test took long.
      await lab.node.shell(`
        for kind in udp_timeout udp_timeout_stream; do echo 600 >/proc/sys/net/netfilter/nf_conntrack_$kind; done`);
      const addresses = [...pods.IPv4, ...pods.IPv6];
      await lab.listen(addresses.map((address) => ({ protocol: 'udp' as const, address, port: 5353 })));
      node = await createAgentLab(lab.node);
      await node.api.set(
        {
          kind: 'Node',
          metadata: { name: 'node-1' },
          status: { addresses: [{ type: 'InternalIP', address: nodes.IPv4 }] },
        },
        serviceObject(dns),
        ...slices(dns, [0, 1]),
      );
    });
    after(async () => {
      await node.remove();
      await lab.remove();
    });

    const ask = async (route: Route, sourcePort: number, timeoutMs = 5_000): Promise<Outcome> => {
      const [outcome] = await lab.probe({ protocol: 'udp', ...route, sourcePort, timeoutMs }, 1);
      return outcome!;
    };
    /** The pod that answers on each flow of a route, by the client's port. */
    const answers = async (route: Route): Promise<ReadonlyMap<number, string>> => {
      const ports = Array.from({ length: flowsPerRoute }, (_, index) => 21_000 + index);
      const outcomes = await Promise.all(ports.map((port) => ask(route, port)));
      return new Map(
        outcomes.map((outcome, index) => [
          ports[index]!,
          outcome.kind === 'answer' ? outcome.from.address : outcome.kind,
        ]),
      );
    };
    /** The kernel's entries of a route: its own number of each, by the client's port. */
    const entries = async ({ family, destination, port }: Route): Promise<ReadonlyMap<number, string>> => {
      const words = ['-L', '-p', 'udp', '-f', family.toLowerCase(), '-d', destination, '--dport', String(port)];
      const { stdout } = await lab.node.exec('conntrack', ...words, '-o', 'id');
      const found = [...stdout.matchAll(/sport=(\d+) .*\bid=(\d+)/g)];
      return new Map(found.map(([, sourcePort, id]) => [Number(sourcePort), id!]));
    };
    const metric = async (text: string) => {
      const { body } = await node.api.get('http://127.0.0.1:10249/metrics');
      return Number(
        body
          .split('\n')
          .find((line) => line.startsWith(text))
          ?.split(' ')[1] ?? 0,
      );
    };
    const looks = (family: Family) =>
      metric(`kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family="${family}"}`);
    const removed = (family: Family, reason: string) =>
      metric(`portwright_conntrack_deletions_total{ip_family="${family}",reason="${reason}"}`);
    const startAgent = async () => {
      agent = node.start(...args, '--cluster-cidr', '10.244.0.0/16,fd00:10:244::/48');
      for (const family of families) {
        await eventually('flows looked through', async () => (await looks(family)) > 0, agent.log);
      }
    };
    const bystanders: readonly Route[] = families.flatMap((family) => [
      { family, source: clients[family], destination: pods[family][0]!, port: 5353 },
      { family, source: clients[family], destination: family === 'IPv4' ? '10.96.0.99' : 'fd00:10:96::63', port: 53 },
    ]);
    const entriesOf = async (routes: readonly Route[]) => Promise.all(routes.map(entries));

    it('stay as they are when the agent starts again and nothing changed', async () => {
      await startAgent();
      const routes = routesTo(dns);
      for (const route of routes) {
        const answering = [...new Set((await answers(route)).values())];
        expect(answering, route.destination).to.have.members(pods[route.family]);
      }
      const known = await entriesOf(routes);
      agent.kill('SIGTERM');
      await agent.ended;
      await startAgent();
      expect(known.map(({ size }) => size)).to.deep.equal(routes.map(() => flowsPerRoute));
      expect(await entriesOf(routes)).to.deep.equal(known);
    });

    it('go when their endpoint does, and only those; their next packet reaches one that is left', async () => {
      const routes = routesTo(dns);
      for (const route of bystanders) await answers(route);
      const knownBystanders = await entriesOf(bystanders);
      const known = new Map<Route, { by: ReadonlyMap<number, string>; ids: ReadonlyMap<number, string> }>();
      for (const route of routes) known.set(route, { by: await answers(route), ids: await entries(route) });
      await node.api.set(...slices(dns, [0]));
      for (const family of families) {
        const stale = routes
          .filter((route) => route.family === family)
          .flatMap((route) => [...known.get(route)!.by.values()].filter((address) => address === pods[family][1]));
        const isDone = async () => (await removed(family, 'endpoint-gone')) === stale.length;
        await eventually(`${stale.length} flows removed`, isDone, agent.log);
      }
      for (const route of routes) {
        const [kept = ''] = pods[route.family];
        const { by, ids } = known.get(route)!;
        const left = [...ids].filter(([port]) => by.get(port) === kept);
        expect(await entries(route), route.destination).to.deep.equal(new Map(left));
        expect(new Set((await answers(route)).values())).to.deep.equal(new Set([kept]));
      }
      expect(knownBystanders.map(({ size }) => size)).to.deep.equal(bystanders.map(() => flowsPerRoute));
      expect(await entriesOf(bystanders)).to.deep.equal(knownBystanders);
    });

    it('go with the last endpoint, and are answered from the same port once there is another', async () => {
      const routes = routesTo(dns);
      await node.api.set(...slices(dns, []));
      for (const route of routes) {
        await eventually('no flow left', async () => (await entries(route)).size === 0, agent.log);
        expect(await ask(route, 21_000)).to.deep.equal({ kind: 'refused' });
      }
      await node.api.set(...slices(dns, [1]));
      for (const route of routes) {
        const another = pods[route.family][1]!;
        await eventually('an answer', async () => (await ask(route, 21_000)).kind === 'answer', agent.log);
        expect(new Set((await answers(route)).values())).to.deep.equal(new Set([another]));
      }
    });

    it('go when the address they were sent to becomes one of a Service, as soon as it has endpoints', async () => {
      const routes = routesTo(late);
      for (const route of routes) {
        // Whoever else has the address answers, or nobody.
        for (let port = 21_000; port < 21_000 + flowsPerRoute; port++) await ask(route, port, 300);
        expect((await entries(route)).size, route.destination).to.equal(flowsPerRoute);
      }
      await node.api.set(serviceObject(late));
      await eventually('the Service without endpoints', () => agent.log().includes('default/late'), agent.log);
      await node.api.set(...slices(late, [0]));
      for (const family of families) {
        const isDone = async () => (await removed(family, 'not-translated')) === 2 * flowsPerRoute;
        await eventually('flows removed', isDone, agent.log);
      }
      for (const route of routes) {
        expect(new Set((await answers(route)).values())).to.deep.equal(new Set([pods[route.family][0]]));
      }
    });

    it('go with their Service', async () => {
      await node.api.tell({ order: 'delete', kind: 'Service', name: dns.name });
      for (const route of routesTo(dns)) {
        await eventually('no flow left', async () => (await entries(route)).size === 0, agent.log);
      }
      for (const family of families) expect(await removed(family, 'service-gone')).to.equal(2 * flowsPerRoute);
      agent.kill('SIGTERM');
      expect(await agent.ended).to.equal(0);
    });
  });
}
