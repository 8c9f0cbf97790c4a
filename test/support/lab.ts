import { join } from 'node:path';

import { buildSync } from 'esbuild';

import { places, ownerOf, setUpScript } from './lab-topology.ts';
import type { Place } from './lab-topology.ts';
import { createNamespace } from './namespace.ts';
import type { Namespace } from './namespace.ts';
import { startProber } from './prober-process.ts';
import type { Prober } from './prober-process.ts';
import type { Listener, Outcome, Probe } from './prober-messages.ts';

/** Namespaces wired as the corpus describes them, each with a prober inside. */
export interface Lab {
  /** Where the rules go. */
  readonly node: Namespace;
  namespace(place: Place): Namespace;
  prober(place: Place): Prober;
  /** Serves each address in the namespace that has it. */
  listen(listeners: readonly Listener[]): Promise<void>;
  /** Sends from the namespace that has the source address. */
  probe(probe: Probe, count: number): Promise<readonly Outcome[]>;
  /** Forgets every tracked connection. */
  forgetFlows(): Promise<void>;
  /** Empties the lists by which iptables rules remember clients (session affinity). */
  readonly forgetClients: () => Promise<void>;
  /** Lets packets from 127.0.0.1 leave the node, or no more. */
  allowLocalhostNodePorts(isAllowed: boolean): Promise<void>;
  remove(): Promise<void>;
}

/** Where the gateway's redirect sends whatever comes to it. */
const gatewayPort = 7;

/** Builds a lab of its own; needs root. Several can stand side by side, of one process or of many. */
export async function createLab(): Promise<Lab> {
  const namespaces = new Map<Place, Namespace>();
  const remove = async () => {
    for (const namespace of namespaces.values()) await namespace.remove();
  };
  try {
    const made = await Promise.all(places.map(async (place) => [place, await createNamespace(place)] as const));
    for (const [place, namespace] of made) namespaces.set(place, namespace);
    const nameOf = (place: Place) => the(namespaces, place).name;
    for (const [place, script] of setUpScript(nameOf, gatewayPort)) await the(namespaces, place).shell(script);
    return await populate(namespaces, remove);
  } catch (error) {
    await remove();
    throw error;
  }
}

async function populate(namespaces: ReadonlyMap<Place, Namespace>, remove: () => Promise<void>): Promise<Lab> {
  const script = bundledProber();
  const probers = new Map(places.map((place) => [place, startProber(the(namespaces, place), place, script)]));
  await Promise.all(places.map((place) => the(probers, place).listen(place === 'gateway' ? gatewayListeners : [])));
  const node = the(namespaces, 'node');
  return {
    node,
    namespace: (place) => the(namespaces, place),
    prober: (place) => the(probers, place),
    listen: async (listeners) => {
      const ownedBy = (place: Place) => listeners.filter(({ address }) => ownerOf(address) === place);
      await Promise.all(places.map((place) => the(probers, place).listen(ownedBy(place))));
    },
    probe: (probe, count) => the(probers, ownerOf(probe.source)).probe(probe, count),
    forgetFlows: async () => {
      await node.mustExec('conntrack', '-F');
    },
    forgetClients: () => the(probers, 'node').forgetClients(),
    allowLocalhostNodePorts: async (isAllowed) => {
      await node.shell(`echo ${isAllowed ? 1 : 0} >/proc/sys/net/ipv4/conf/all/route_localnet`);
    },
    remove,
  };
}

/** One piece of plain JavaScript: Node starts it in a fraction of the time that a TypeScript loader takes. */
function bundledProber(): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(import.meta.dirname, 'prober.ts')],
    write: false,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error('unreachable: one entry point makes one file');
  return file.text;
}

const gatewayListeners: readonly Listener[] = (['tcp', 'udp'] as const).flatMap((protocol) =>
  ['169.254.1.2', 'fd00:169::2'].map((address) => ({ protocol, address, port: gatewayPort })),
);

function the<T>(map: ReadonlyMap<Place, T>, place: Place): T {
  const found = map.get(place);
  if (found === undefined) throw new Error(`the lab has no ${place}`);
  return found;
}
