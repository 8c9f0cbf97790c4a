import type { IpFamily } from '../../kernel/iptables-tools.ts';

/** A match or target that our rules use: the rule, in the words of iptables-save. */
export interface Feature {
  readonly name: string;
  readonly table: 'nat' | 'filter';
  readonly rule: (family: IpFamily) => string;
  /** What is not served without it. */
  readonly without: string;
}

const inFamily = (ipv4: string, ipv6: string) => (family: IpFamily) => (family === 'IPv4' ? ipv4 : ipv6);
const everything = 'no Service is served as it should be';

/** What the rules of iptables mode are made of. */
export const features: readonly Feature[] = [
  {
    name: 'comment',
    table: 'nat',
    rule: () => '-m comment --comment "default/web:http cluster IP" -j RETURN',
    without: everything,
  },
  {
    name: 'mark',
    table: 'nat',
    rule: () => '-m mark ! --mark 0x4000/0x4000 -j RETURN',
    without: 'packets are masqueraded, or dropped, that should not be',
  },
  { name: 'MARK', table: 'nat', rule: () => '-j MARK --set-xmark 0x4000/0x4000', without: everything },
  {
    name: 'MASQUERADE --random-fully',
    table: 'nat',
    rule: () => '-j MASQUERADE --random-fully',
    without: 'answers to clients outside do not come back through this node',
  },
  {
    name: 'DNAT',
    table: 'nat',
    rule: inFamily(
      '-p tcp -m tcp -j DNAT --to-destination 10.0.0.1:80',
      '-p tcp -m tcp -j DNAT --to-destination [fd00::1]:80',
    ),
    without: everything,
  },
  {
    name: 'statistic',
    table: 'nat',
    rule: () => '-m statistic --mode random --probability 0.50000000000 -j RETURN',
    without: 'all connections go to one endpoint',
  },
  {
    name: 'recent',
    table: 'nat',
    rule: inFamily(
      '-m recent --rcheck --seconds 10800 --reap --name PORTWRIGHT-PROBE --mask 255.255.255.255 --rsource -j RETURN',
      '-m recent --rcheck --seconds 10800 --reap --name PORTWRIGHT-PROBE --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource -j RETURN',
    ),
    without: 'Services with session affinity are not served',
  },
  {
    name: 'addrtype',
    table: 'nat',
    rule: () => '-m addrtype --dst-type LOCAL -j RETURN',
    without: 'node ports are not served',
  },
  { name: 'conntrack', table: 'filter', rule: () => '-m conntrack --ctstate NEW -j RETURN', without: everything },
  {
    name: 'REJECT',
    table: 'filter',
    rule: inFamily('-j REJECT --reject-with icmp-port-unreachable', '-j REJECT --reject-with icmp6-port-unreachable'),
    without: 'clients of a Service without endpoints wait instead of being told',
  },
  {
    name: 'nfacct',
    table: 'filter',
    rule: () => '-m nfacct --nfacct-name  portwright_probe -j DROP',
    without: 'dropped invalid packets are not counted',
  },
];

/** A shape that the table of nftables mode is made of. */
export interface NftShape {
  readonly name: string;
  /** What the rule refers to. */
  readonly declares?: string;
  /** Hook of the chain that the rule stands in, where it needs one. */
  readonly hook?: string;
  /** As nft prints it. Absent: the declaration is all. */
  readonly rule?: string;
  readonly without: string;
}

/** What the table of nftables mode is made of. */
export const nftShapes: readonly NftShape[] = [
  {
    name: 'choice by numgen in a map of concatenations',
    declares: 'map endpoints { typeof ip daddr . tcp dport . numgen random mod 65536 : ip daddr . tcp dport; }',
    rule: 'dnat ip to ip daddr . tcp dport . numgen random mod 2 map @endpoints',
    without: everything,
  },
  {
    name: 'verdict map',
    declares: 'map m { type ipv4_addr . inet_proto . inet_service : verdict; }',
    rule: 'ip daddr . meta l4proto . th dport vmap @m',
    without: everything,
  },
  {
    name: 'fib',
    rule: 'fib saddr type local meta mark set meta mark | 0x00004000',
    without: 'node ports are not served',
  },
  {
    name: 'dynamic set',
    declares: 'set s { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 3h; }',
    rule: 'update @s { ip saddr }',
    without: 'Services with session affinity are not served',
  },
  {
    name: 'interval set of concatenations',
    declares:
      'set s { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; elements = { 10.0.0.0/8 . 10.0.0.1 . tcp . 80 }; }',
    rule: 'ip saddr . ip daddr . meta l4proto . th dport @s accept',
    without: 'load balancer source ranges are not enforced',
  },
  { name: 'reject', rule: 'reject', without: 'clients of a Service without endpoints wait instead of being told' },
  {
    name: 'masquerade',
    hook: 'type nat hook postrouting priority srcnat; policy accept;',
    rule: 'masquerade fully-random',
    without: 'answers to clients outside do not come back through this node',
  },
  {
    name: 'comment on elements',
    declares:
      'map m { type inet_proto . inet_service : verdict; elements = { tcp . 30080 comment "default/web:http" : drop }; }',
    without: 'elements do not say whose they are',
  },
];
