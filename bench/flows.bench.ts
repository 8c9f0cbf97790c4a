import { sync } from '../src/agent/sync.ts';
import { createNftTool } from '../src/kernel/nft-tool.ts';
import { openHost } from '../src/kernel/host.ts';
import { buildModel } from '../src/model/build.ts';
import { createNftablesBackend } from '../src/nftables/backend.ts';
import type { ClusterState, Service, SliceEndpoint } from '../src/source/objects.ts';
import { createLab } from '../test/support/lab.ts';
import type { Lab } from '../test/support/lab.ts';
import { nodeAddresses } from '../test/support/lab-topology.ts';
import { endpoint, modelOptions, port, service, slice, state } from '../test/support/state.ts';
import { packetsSentAgain } from '../test/support/sent-again.ts';
import { startTraffic } from '../test/support/traffic.ts';
import type { Target } from '../test/support/traffic.ts';
import type { Row } from './table.ts';

const connections = 1_000_000;
const syncsPerRound = 100;
const options = modelOptions({ hostAddresses: nodeAddresses, localhostNodePorts: false });
const localPods = ['11', '12', '13', '32', '52'].map((host) => endpoint(`10.244.1.${host}`));
const remotePods = ['14', '34'].map((host) => endpoint(`10.244.2.${host}`, { nodeName: 'node-2' }));

/** Who connects to which Service. Each sends from a namespace of its own, whose counters then speak of it alone. */
const steady = { name: 'steady', from: 'outside', clusterIP: '10.96.0.10', nodePort: 30_100 } as const;
const changing = { name: 'changing', from: 'pod3', clusterIP: '10.96.0.11', nodePort: 30_101 } as const;
const sources = { outside: '172.18.0.100', pod3: '10.244.1.13' } as const;

/**
 * New TCP connections, a million to each of two Services, while the table is rewritten without a pause: one Service
 * stays as it is, the endpoints, policies and affinity of the other change each time. A connection is lost when it is
 * refused or answered by somebody else, and when its first packet had to be sent again.
 */
export async function flowsRows(): Promise<readonly Row[]> {
  const lab = await createLab();
  try {
    await lab.listen([...localPods, ...remotePods].flatMap(({ addresses }) => (addresses ?? []).map(server)));
    // A million finished connections would fill the list of tracked ones.
    await lab.node.shell('echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close');
    const tally = { steady: 0, changing: 0, lostSteady: 0, lostChanging: 0, syncs: 0 };
    const write = await writer(lab);
    await write();
    while (Math.min(tally.steady, tally.changing) < connections) {
      const stops = [await connect(lab, steady), await connect(lab, changing)] as const;
      for (let turn = 0; turn < syncsPerRound; turn++) tally.syncs += await write();
      const [toSteady, toChanging] = await Promise.all(stops.map((stop) => stop()));
      tally.steady += toSteady?.attempts ?? 0;
      tally.changing += toChanging?.attempts ?? 0;
      tally.lostSteady += toSteady?.lost ?? 0;
      tally.lostChanging += toChanging?.lost ?? 0;
    }
    const figure = (lost: number, all: number) => `${lost} of ${all.toLocaleString('en')}`;
    return [
      {
        what: `connections lost by a Service that stays, during ${tally.syncs} changes of another`,
        figure: figure(tally.lostSteady, tally.steady),
        bar: '0',
        holds: tally.lostSteady === 0,
      },
      {
        what: 'connections lost by the Service that changes',
        figure: figure(tally.lostChanging, tally.changing),
        bar: '≤ 2 in a million',
        holds: tally.lostChanging <= (2 * tally.changing) / connections,
      },
    ];
  } finally {
    await lab.remove();
  }
}

function server(address: string) {
  return { protocol: 'tcp', address, port: 8080 } as const;
}

/** A function that makes the next state true and tells how many transactions that took. */
async function writer(lab: Lab): Promise<() => Promise<number>> {
  const [tool = '', ...args] = lab.node.prefix;
  const nft = createNftTool(await openHost({ prefix: [[tool, ...args]], env: lab.node.env }));
  const backend = createNftablesBackend('IPv4', { ...nft, tryLoad: () => Promise.resolve(true) });
  let live = await backend.list();
  return async () => {
    const result = await sync(backend, buildModel(nextState(), options), { live, keepGoing: false });
    live = result.live;
    return result.plan.scripts.length;
  };
}

function nextState(): ClusterState {
  const local = localPods.filter(chance(2));
  const own = [...(local.length === 0 ? localPods : local), ...remotePods.filter(chance(2))];
  const policy = (kind: 'internalTrafficPolicy' | 'externalTrafficPolicy') => (chance(6)() ? { [kind]: 'Local' } : {});
  const affinity = chance(6)() ? { sessionAffinity: 'ClientIP' } : {};
  return state(
    [
      served(steady, {}),
      served(changing, { ...policy('internalTrafficPolicy'), ...policy('externalTrafficPolicy'), ...affinity }),
    ],
    [sliceOf(steady.name, localPods), sliceOf(changing.name, own)],
  );
}

/** True once in so many times. */
function chance(times: number): () => boolean {
  return () => Math.random() * times < 1;
}

function served(
  { name, clusterIP, nodePort }: typeof steady | typeof changing,
  spec: Partial<Service['spec']>,
): Service {
  return service({ clusterIP, type: 'NodePort', ports: [port({ nodePort })], ...spec }, { name });
}

function sliceOf(name: string, endpoints: readonly SliceEndpoint[]) {
  return slice(endpoints, {}, name);
}

async function connect(lab: Lab, { from, clusterIP, nodePort }: typeof steady | typeof changing) {
  const common = { protocol: 'tcp', source: sources[from] } as const;
  const targets: readonly Target[] = [
    { ...common, destination: clusterIP, port: 80 },
    { ...common, destination: '172.18.0.11', port: nodePort },
  ];
  const before = await packetsSentAgain(lab, from);
  const stop = await startTraffic(lab, targets, { concurrency: 12 });
  return async () => {
    const { attempts, failures, examples } = await stop();
    for (const example of examples) process.stderr.write(`${example}\n`);
    return { attempts, lost: failures + (await packetsSentAgain(lab, from)) - before };
  };
}
