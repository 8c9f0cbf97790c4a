/** The namespaces of the lab. `gateway` is the world behind the node's default route: it answers for any address. */
export type Place = 'outside' | 'node' | 'pod1' | 'pod2' | 'pod3' | 'node-2' | 'gateway';

/** In the order in which they are made. */
export const places: readonly Place[] = ['outside', 'node', 'pod1', 'pod2', 'pod3', 'node-2', 'gateway'];

/** Every address of the node that a flow may come from, go to, or be masqueraded to. */
export const nodeAddresses: readonly string[] = [
  '172.18.0.11',
  'fd00:18::11',
  '192.168.77.11',
  'fd00:192:168:77::11',
  '10.244.1.1',
  'fd00:10:244:1::1',
];

const localPods = {
  pod1: ['11'],
  pod2: ['12', '32', '52', '72', '92', '112'],
  pod3: ['13'],
} as const;
const remotePods = ['14', '34', '54', '74', '94'];
/** More clients than the corpus has, for tests that need many of them. */
const outsideHosts = ['100', '200', ...Array.from({ length: 20 }, (_, index) => String(120 + index))];

/** The addresses of clients outside, of one family. */
export function outsideAddresses(family: 'IPv4' | 'IPv6'): readonly string[] {
  return outsideHosts.map((host) => (family === 'IPv4' ? `172.18.0.${host}` : `fd00:18::${host}`));
}

const owners = new Map<string, Place>([
  ...[...nodeAddresses, '127.0.0.1', '::1'].map((address) => [address, 'node'] as const),
  ...outsideHosts.flatMap((host) => pair(`172.18.0.${host}`, `fd00:18::${host}`, 'outside')),
  ...(['pod1', 'pod2', 'pod3'] as const).flatMap((place) =>
    localPods[place].flatMap((host) => pair(`10.244.1.${host}`, `fd00:10:244:1::${host}`, place)),
  ),
  ...pair('172.18.0.12', 'fd00:18::12', 'node-2'),
  ...remotePods.flatMap((host) => pair(`10.244.2.${host}`, `fd00:10:244:2::${host}`, 'node-2')),
  ...pair('169.254.1.2', 'fd00:169::2', 'gateway'),
]);

function pair(ipv4: string, ipv6: string, place: Place): readonly (readonly [string, Place])[] {
  return [
    [ipv4, place],
    [ipv6, place],
  ];
}

/** The namespace that has this address; an address outside the lab is a mistake of the test. */
export function ownerOf(address: string): Place {
  const owner = owners.get(address);
  if (owner === undefined) throw new Error(`nobody in the lab has the address ${address}`);
  return owner;
}

/** Whether somebody in the lab has this address, so that a server can stand there. */
export function isInLab(address: string): boolean {
  return owners.has(address);
}

/** What to run where, in this order, to wire the namespaces; `nameOf` gives a namespace's real name. */
export function setUpScript(nameOf: (place: Place) => string, gatewayPort: number): readonly [Place, string][] {
  return [
    ...places.map((place): [Place, string] => [place, quietKernel]),
    ['outside', outsideScript(nameOf)],
    ['node', nodeScript(nameOf)],
    ...(['pod1', 'pod2', 'pod3'] as const).map((place): [Place, string] => [place, podScript(localPods[place])]),
    ['node-2', secondNodeScript],
    ['gateway', gatewayScript(gatewayPort)],
  ];
}

/** Nothing that takes time or forgets to answer: no duplicate address detection, no redirects, no ICMP rate limit. */
const quietKernel = `
for scope in all default lo; do
  echo 0 >/proc/sys/net/ipv4/conf/$scope/rp_filter
  echo 0 >/proc/sys/net/ipv4/conf/$scope/send_redirects
  echo 0 >/proc/sys/net/ipv4/conf/$scope/accept_redirects
  echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_redirects
  echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad
  echo 0 >/proc/sys/net/ipv6/conf/$scope/dad_transmits
  echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_ra
  echo 0 >/proc/sys/net/ipv6/conf/$scope/disable_ipv6
done
echo 0 >/proc/sys/net/ipv4/icmp_ratemask
echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
# Where this module is loaded, bridged frames would meet the rules before they are routed: not alike on all machines.
for family in iptables ip6tables; do
  if [ -e /proc/sys/net/bridge/bridge-nf-call-$family ]; then echo 0 >/proc/sys/net/bridge/bridge-nf-call-$family; fi
done
`;

function batch(lines: readonly string[]): string {
  return `ip -batch - <<'END'\n${lines.join('\n')}\nEND\n`;
}

function address(ip: string, prefix: number, device: string): string {
  return ip.includes(':')
    ? `address add ${ip}/${prefix} dev ${device} nodad`
    : `address add ${ip}/${prefix} dev ${device}`;
}

function outsideScript(nameOf: (place: Place) => string): string {
  return batch([
    'link add wire type bridge',
    `link add to-node type veth peer name eth0 netns ${nameOf('node')}`,
    `link add to-node-2 type veth peer name eth0 netns ${nameOf('node-2')}`,
    'link set to-node master wire up',
    'link set to-node-2 master wire up',
    'link set wire up',
    ...outsideHosts.flatMap((host) => [
      address(`172.18.0.${host}`, 24, 'wire'),
      address(`fd00:18::${host}`, 64, 'wire'),
    ]),
    ...['10.96.0.0/16', '203.0.113.0/24', '198.51.100.0/24', '192.168.77.0/24'].map(
      (network) => `route add ${network} via 172.18.0.11`,
    ),
    ...['fd00:10:96::/112', 'fd00:203::/64', 'fd00:198::/64', 'fd00:192:168:77::/64'].map(
      (network) => `route add ${network} via fd00:18::11`,
    ),
  ]);
}

function nodeScript(nameOf: (place: Place) => string): string {
  const forward = `
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
`;
  return (
    forward +
    batch([
      'link add br0 type bridge',
      'link add dum0 type bridge', // Bare bridges stand in for dummies, which not every kernel has.
      ...(['pod1', 'pod2', 'pod3'] as const).flatMap((pod) => [
        `link add ${pod} type veth peer name eth0 netns ${nameOf(pod)}`,
        `link set ${pod} master br0 up`,
      ]),
      `link add up0 type veth peer name eth0 netns ${nameOf('gateway')}`,
      ...['eth0', 'br0', 'dum0', 'up0'].map((device) => `link set ${device} up`),
      address('172.18.0.11', 24, 'eth0'),
      address('fd00:18::11', 64, 'eth0'),
      address('192.168.77.11', 24, 'dum0'),
      address('fd00:192:168:77::11', 64, 'dum0'),
      address('10.244.1.1', 24, 'br0'),
      address('fd00:10:244:1::1', 64, 'br0'),
      address('169.254.1.1', 30, 'up0'),
      address('fd00:169::1', 64, 'up0'),
      'route add 10.244.2.0/24 via 172.18.0.12',
      'route add fd00:10:244:2::/64 via fd00:18::12',
      'route add default via 169.254.1.2',
      'route add default via fd00:169::2',
    ])
  );
}

/** Host addresses only, so that pods reach each other through the node too, where replies are translated back. */
function podScript(hosts: readonly string[]): string {
  return batch([
    'link set eth0 up',
    ...hosts.flatMap((host) => [
      address(`10.244.1.${host}`, 32, 'eth0'),
      address(`fd00:10:244:1::${host}`, 128, 'eth0'),
    ]),
    'route add 10.244.1.1 dev eth0 scope link',
    'route add default via 10.244.1.1',
    'route add fd00:10:244:1::1 dev eth0',
    'route add default via fd00:10:244:1::1',
  ]);
}

/** Replies go by way of the node, also to clients next door: kept source addresses would bypass it otherwise. */
const secondNodeScript = batch([
  'link set eth0 up',
  address('172.18.0.12', 24, 'eth0'),
  address('fd00:18::12', 64, 'eth0'),
  ...remotePods.flatMap((host) => [
    address(`10.244.2.${host}`, 32, 'lo'),
    address(`fd00:10:244:2::${host}`, 128, 'lo'),
  ]),
  ...outsideHosts.flatMap((host) => [
    `route add 172.18.0.${host} via 172.18.0.11`,
    `route add fd00:18::${host} via fd00:18::11`,
  ]),
  'route add default via 172.18.0.11',
  'route add default via fd00:18::11',
]);

/** Has every address there is, and one server for all of them: what the node routes on ends here and says so. */
function gatewayScript(port: number): string {
  const wires = batch([
    'link set eth0 up',
    address('169.254.1.2', 30, 'eth0'),
    address('fd00:169::2', 64, 'eth0'),
    'route add local default dev lo table main',
    'route add local ::/0 dev lo table main',
    ...['172.18.0.0/24', '192.168.77.0/24', '10.244.0.0/16'].map((network) => `route add ${network} via 169.254.1.1`),
    ...['fd00:18::/64', 'fd00:192:168:77::/64', 'fd00:10:244::/48'].map(
      (network) => `route add ${network} via fd00:169::1`,
    ),
  ]);
  const redirect = (['ip', 'ip6'] as const).map(
    (family) =>
      `nft 'add table ${family} lab; add chain ${family} lab catch { type nat hook prerouting priority -100; };` +
      ` add rule ${family} lab catch meta l4proto { tcp, udp } redirect to :${port}'`,
  );
  return wires + redirect.join('\n');
}
