import { setTimeout as sleep } from 'node:timers/promises';

import type { Lab } from '../support/lab.ts';
import { nodeAddresses, ownerOf, places } from '../support/lab-topology.ts';
import type { Place } from '../support/lab-topology.ts';
import { describeFlow, endpointKey } from './flow.ts';
import type { Flow } from './flow.ts';

/*
 * SCTP without an SCTP stack: Node has no raw sockets, so the prober sends an INIT chunk as the payload of a UDP
 * datagram, and a rule in the sender's namespace makes an SCTP packet of it before anything else sees it. Both headers
 * begin with the ports; UDP's length and checksum lie where SCTP has the verification tag, which is 0 in an INIT, and
 * the payload begins where SCTP has its checksum. Where it arrives, rules count it.
 */

/** So many that two even endpoints are both seen but for one run in 10^18. */
const initCount = 60;
const patienceMs = 6000;
/** Once something has arrived, more would have come by then. */
const settleMs = 150;
/** Source ports of datagrams that become INITs; other probes use others. */
const firstPort = 20_000;

/** Where INITs ended, each place written as endpoints are: with the source addresses seen there. */
interface Arrivals {
  readonly at: ReadonlyMap<string, { readonly place: Place; readonly sources: ReadonlySet<string> }>;
  readonly refused: number;
  readonly total: number;
}

/** Sends the SCTP flows, IPv4 only, one after the other, and tells in words what went wrong. */
export async function judgeInits(lab: Lab, flows: readonly Flow[]): Promise<readonly string[]> {
  const sctp = flows.filter(({ protocol }) => protocol === 'sctp');
  if (sctp.length === 0) return [];
  await Promise.all(places.map((place) => lab.namespace(place).shell(watchScript)));
  const wrongs: string[] = [];
  for (const flow of sctp) {
    await Promise.all(places.map((place) => lab.namespace(place).mustExec('nft', resetCommands)));
    const sender = ownerOf(flow.source);
    await lab.prober(sender).sendInits({ ...flow, firstPort, count: initCount });
    wrongs.push(...judge(flow, await arrivals(lab, sender)));
  }
  await Promise.all(places.map((place) => lab.namespace(place).mustExec('nft', 'delete table ip lab-sctp')));
  return wrongs;
}

// On the way in after the rules under test, on the way out before them and before connection tracking.
const watchScript = `nft -f - <<'END'
table ip lab-sctp
delete table ip lab-sctp
table ip lab-sctp {
  set arrived { type ipv4_addr . inet_service . ipv4_addr; flags dynamic; size 4096; }
  counter inits { }
  counter refused { }
  chain out {
    type filter hook output priority -400;
    udp sport ${firstPort}-${firstPort + initCount - 1} @th,32,32 set 0 ip protocol set 132
  }
  chain in {
    type filter hook input priority 100;
    ip protocol sctp counter name inits add @arrived { ip daddr . th dport . ip saddr }
    icmp type destination-unreachable icmp code port-unreachable counter name refused
  }
}
END`;

const resetCommands = 'flush set ip lab-sctp arrived; reset counters table ip lab-sctp';

async function arrivals(lab: Lab, sender: Place): Promise<Arrivals> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await readArrivals(lab, sender);
    if (found.total >= initCount || Date.now() > deadline) return found;
    await sleep(settleMs);
  }
}

async function readArrivals(lab: Lab, sender: Place): Promise<Arrivals> {
  const listings = await Promise.all(
    places.map(async (place) => ({
      place,
      text: await lab.namespace(place).mustExec('nft', 'list table ip lab-sctp'),
    })),
  );
  const at = new Map<string, { readonly place: Place; readonly sources: Set<string> }>();
  let total = 0;
  let refused = 0;
  for (const { place, text } of listings) {
    for (const [, address = '', port, source = ''] of text.matchAll(/([\d.]+) \. (\d+) \. ([\d.]+)/g)) {
      const key = endpointKey(address, Number(port));
      const known = at.get(key) ?? { place, sources: new Set() };
      at.set(key, known);
      known.sources.add(source);
    }
    total += packetsOf(text, 'inits');
    if (place === sender) refused = packetsOf(text, 'refused');
  }
  return { at, refused, total: total + refused };
}

function packetsOf(listing: string, counter: string): number {
  return Number(new RegExp(`counter ${counter} \\{\\s+packets (\\d+)`).exec(listing)?.[1] ?? 0);
}

function judge(flow: Flow, { at, refused, total }: Arrivals): readonly string[] {
  const found = verdictOf(flow, at, refused);
  const name = describeFlow(flow);
  if (found !== flow.expect.verdict) return [`${name}: expected ${flow.expect.verdict}, got ${found}`];
  if (flow.expect.verdict !== 'drop' && total !== initCount)
    return [`${name}: ${total} of ${initCount} INITs ended anywhere`];
  if (flow.expect.verdict !== 'endpoint') return [];
  const { endpoints } = flow.expect;
  const missing = [...endpoints.keys()].filter((key) => !at.has(key)).map((key) => `${name}: ${key} is never chosen`);
  const wrong = [...at].flatMap(([key, { sources }]) => {
    const expected = endpoints.get(key);
    if (expected === undefined) return [`${name}: reached ${key}, which is not one of its endpoints`];
    const isRight = (source: string) =>
      expected === 'any' || (expected === 'kept' ? source === flow.source : isMasqueraded(source, flow));
    return [...sources].every(isRight) ? [] : [`${name}: ${key} saw ${[...sources].join(', ')}, expected ${expected}`];
  });
  return [...missing, ...wrong];
}

function isMasqueraded(source: string, flow: Flow): boolean {
  return source !== flow.source && nodeAddresses.includes(source);
}

function verdictOf(flow: Flow, at: Arrivals['at'], refused: number): string {
  const places = new Set([...at.values()].map(({ place }) => place));
  if (refused > 0) return places.size === 0 ? 'reject' : 'reject of some';
  if (places.size === 0) return 'drop';
  if (places.has('gateway')) return 'pass';
  return at.has(endpointKey(flow.destination, flow.port)) ? 'host' : 'endpoint';
}
