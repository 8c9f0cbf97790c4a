import { expect } from 'chai';
import { parseNftables, RulesetSyntaxError } from '../../src/nftables/parse.ts';
import { planNftables } from '../../src/nftables/plan.ts';
import { definitionKey, lineKey } from '../../src/nftables/spelling.ts';
import { objectsOf } from '../../src/ruleset/ruleset.ts';

const chain = { kind: 'chain', name: 'services' } as const;
const map = { kind: 'map', name: 'service-ips' } as const;

describe('spellings of nft', () => {
  const rules = [
    ['mark set mark or 0x4000', 'meta mark set meta mark | 0x00004000 comment "masquerade"'],
    [
      'mark and 0x4000 != 0 mark set mark xor 0x4000 masquerade fully-random',
      'meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000 masquerade fully-random',
    ],
    ['mark and 0x80000000 != 0', 'meta mark != 0x00000000/1'],
    ['dnat ip addr . port to ip daddr . tcp dport map @m', 'dnat ip to ip daddr . tcp dport map @m'],
    ['iifname != br0 accept', 'iifname != "br0" accept'],
    ['update @s { ip saddr timeout 5400s }', 'update @s { ip saddr timeout 1h30m }'],
    ['reject with icmp port-unreachable', 'reject'],
    ['reject with icmpv6 type port-unreachable', 'reject'],
    ['dnat to [::102:304]:80', 'dnat to [::1.2.3.4]:80'],
    ['ip6 saddr ::102:0/112 accept', 'ip6 saddr ::1.2.0.0/112 accept'],
    ['ip6 saddr fd00::1/128 accept', 'ip6 saddr fd00::1 accept'],
    ['ip saddr != 10.244.1.5/32 accept', 'ip saddr != 10.244.1.5 accept'],
  ] as const;
  for (const [left, right] of rules) {
    it(`of one rule: ${left}`, () => {
      expect(lineKey(chain, left)).to.equal(lineKey(chain, right));
    });
  }

  const elements = [
    ['10.96.0.1 . 6 . 80 : goto class-2', '10.96.0.1 . tcp . 80 : goto class-2'],
    ['fd00::1 . 132 . 6 : goto class-2', 'fd00::1 . sctp . 6 : goto class-2'],
    ['17 . 30080 : drop', 'udp . 30080 comment "a/b, {c}" : drop'],
    ['::102:304 . tcp . 80 : drop', '::1.2.3.4 . tcp . 80 : drop'],
    ['10.96.0.1 . tcp . 80 : drop', '10.96.0.1 . tcp . 80 timeout 1h expires 5m3s12ms : drop'],
  ] as const;
  for (const [left, right] of elements) {
    it(`of one element: ${left}`, () => {
      expect(lineKey(map, left)).to.equal(lineKey(map, right));
    });
  }

  it('never take a port or a slot for a protocol', () => {
    const endpoints = { kind: 'map', name: 'tcp-endpoints' } as const;
    const line = '10.96.0.1 . 6 . 17 : 10.244.1.1 . 132';
    expect(lineKey(endpoints, line)).to.equal(line);
    expect(lineKey(map, '10.96.0.1 . tcp . 6 : drop')).to.equal('10.96.0.1 . tcp . 6 : drop');
  });

  const definitions = [
    [
      'chain',
      ['type nat hook prerouting priority dstnat; policy accept;'],
      ['type nat hook prerouting priority -100;'],
    ],
    [
      'chain',
      ['type filter hook prerouting priority dstnat - 10; policy accept;'],
      ['type filter hook prerouting priority -110; policy accept;'],
    ],
    [
      'set',
      ['type ipv4_addr', 'size 65535', 'flags dynamic,timeout', 'timeout 3h'],
      ['type ipv4_addr', 'flags timeout, dynamic', 'timeout 1h'],
    ],
    ['set', ['type ipv4_addr', 'comment "Active ClusterIPs"'], ['type ipv4_addr']],
    [
      'map',
      ['typeof ip daddr . tcp dport . numgen random mod 65536 : ip daddr . tcp dport'],
      ['type ipv4_addr . inet_service . integer : ipv4_addr . inet_service'],
    ],
  ] as const;
  for (const [kind, left, right] of definitions) {
    it(`of one definition: ${left.join(' ')}`, () => {
      expect(definitionKey({ kind, definition: left })).to.deep.equal(definitionKey({ kind, definition: right }));
    });
  }

  it('of different hooks, priorities, policies, types and flags differ', () => {
    const keys = (
      [
        ['chain', 'type nat hook prerouting priority dstnat; policy accept;'],
        ['chain', 'type nat hook prerouting priority dstnat + 5; policy accept;'],
        ['chain', 'type nat hook output priority -100; policy accept;'],
        ['chain', 'type filter hook output priority -100; policy drop;'],
        ['set', 'type ipv4_addr'],
        ['set', 'flags timeout'],
        ['set', 'flags dynamic,timeout'],
      ] as const
    ).map(([kind, line]) => definitionKey({ kind, definition: [line] }).join());
    expect(new Set(keys).size).to.equal(keys.length);
  });
});

describe('a listing with numbers for names', () => {
  const text = (...words: readonly string[]) => {
    const [tcp, sctp, isNew, dnat, local] = words;
    return `table ip kube-proxy {
	set hairpin-connections {
		type ipv4_addr . ipv4_addr . inet_proto . inet_service
		elements = { 10.244.1.11 . 10.244.1.11 . ${tcp} . 17, 10.244.1.12 . 10.244.1.12 . ${sctp} . 6 }
	}

	map service-nodeports {
		type inet_proto . inet_service : verdict
		elements = { ${tcp} . 30080 : goto class-nodeport-2,
			     ${sctp} . 17 : drop }
	}

	map tcp-endpoints {
		typeof ip daddr . tcp dport . numgen random mod 65536 : ip daddr . tcp dport
		elements = { 10.96.0.10 . 6 . 17 : 10.244.1.11 . 132 }
	}

	chain services {
		ct state ${isNew} fib saddr type ${local} meta l4proto ${sctp} dnat to 10.244.1.11:17
		ct status ${dnat} masquerade fully-random
	}
}
`;
  };

  it('reads as one with names', () => {
    const numbers = parseNftables(text('6', '132', '0x8', '0x20', '2'));
    expect(numbers).to.deep.equal(parseNftables(text('tcp', 'sctp', 'new', 'dnat', 'local')));
  });
});

describe('rules that say different things', () => {
  it('differ when they remember clients for other times', () => {
    const [left, right] = ['timeout 3h', 'timeout 3h1s'].map((time) =>
      lineKey(chain, `update @s { ip saddr ${time} }`),
    );
    expect(left).not.to.equal(right);
  });
});

describe('a table as it should be but for its definition', () => {
  const text = (flags: string, policy: string) => `table ip kube-proxy {
${flags}	comment "rules for kube-proxy"
	chain filter-input {
		type filter hook input priority filter; policy ${policy};
	}
}
`;
  const desired = parseNftables(text('', 'accept'));

  it('is woken up where somebody put it to sleep', () => {
    const { changes, scripts } = planNftables(parseNftables(text('	flags dormant\n', 'accept')), desired, 'IPv4');
    expect(changes.map(({ object, before }) => [object, before])).to.deep.equal([
      ['ip kube-proxy', ['flags dormant', 'comment "rules for kube-proxy"']],
    ]);
    expect(scripts.flatMap(({ segments }) => segments.map((segment) => segment.text))).to.deep.equal([
      'add table ip kube-proxy { comment "rules for kube-proxy"; }\n',
    ]);
  });

  it('is woken up by itself, last, where it was made anew empty and asleep: nft makes no hook with that', () => {
    const empty = parseNftables('table ip kube-proxy {\n	flags dormant\n}\n');
    const { scripts } = planNftables(empty, desired, 'IPv4');
    expect(scripts.map(({ phase, segments }) => [phase, ...segments.map((segment) => segment.text)])).to.deep.equal([
      ['change', 'add chain ip kube-proxy filter-input { type filter hook input priority filter; policy accept; }\n'],
      ['change', 'add table ip kube-proxy { comment "rules for kube-proxy"; }\n'],
    ]);
  });

  it('differs visibly where a chain has another policy', () => {
    const [change] = planNftables(parseNftables(text('', 'drop')), desired, 'IPv4').changes;
    expect(change?.before).to.deep.equal(['type filter hook input priority filter; policy drop;']);
    expect(change?.after).to.deep.equal(['type filter hook input priority filter; policy accept;']);
  });
});

describe('reading an nft listing', () => {
  const listing = `table inet other { # handle 7
	flags owner
	flowtable f {
		hook ingress priority filter
		devices = { eth0 }
	}
	chain input { # handle 1
		type filter hook input priority filter; policy drop;
		tcp dport { 22,
			    80 } accept # handle 5
	}
}
# Warning: table ip filter is managed by iptables-nft, do not touch!
table ip kube-proxy {
	map no-endpoint-services {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.1 . tcp . 80 comment "a, b }" : drop, 10.96.0.2 . tcp . 80 : drop,
			     10.96.0.3 . tcp . 80 : drop }
	}
	set affinity-x {
		type ipv4_addr
		size 65535
		flags dynamic,timeout
		timeout 3h
		elements = { 10.0.0.1 expires 2h59m }
	}
	set cluster-ips {
		type ipv4_addr
		elements = { 10.96.0.1, 10.96.0.2,
			     10.96.0.3 }
	}
}
`;
  const objects = objectsOf(parseNftables(listing));

  it('owns only the tables of kube-proxy, and keeps the others', () => {
    const owned = [...objects.values()].filter(({ isOwned }) => isOwned).map(({ name }) => name);
    expect(owned).to.have.members(['ip kube-proxy', 'no-endpoint-services', 'affinity-x', 'cluster-ips']);
    expect(objects.get('inet other chain input')?.lines).to.deep.equal(['tcp dport { 22, 80 } accept']);
  });

  it('reads elements one by one, and none that rules put into a dynamic set', () => {
    expect(objects.get('ip kube-proxy set cluster-ips')?.lines).to.deep.equal(['10.96.0.1', '10.96.0.2', '10.96.0.3']);
    expect(objects.get('ip kube-proxy map no-endpoint-services')?.lines).to.deep.equal([
      '10.96.0.1 . tcp . 80 comment "a, b }" : drop',
      '10.96.0.2 . tcp . 80 : drop',
      '10.96.0.3 . tcp . 80 : drop',
    ]);
    expect(objects.get('ip kube-proxy set affinity-x')?.lines).to.deep.equal([]);
  });

  it('refuses what is no listing, and one that was cut short, with the line', () => {
    expect(() => parseNftables('*nat\n:PREROUTING ACCEPT\n')).to.throw(RulesetSyntaxError, 'line 1');
    expect(() => parseNftables(listing.slice(0, -4))).to.throw(RulesetSyntaxError);
  });

  it('takes nothing for nothing', () => {
    expect(objectsOf(parseNftables('')).size).to.equal(0);
  });

  it('plans nothing for tables of others, and keeps them in what comes after', () => {
    const live = parseNftables(listing);
    const plan = planNftables(live, { parts: [] }, 'IPv4');
    expect(plan.scripts.map(({ segments }) => segments.map(({ text }) => text).join(''))).to.deep.equal([
      'delete table ip kube-proxy\n',
    ]);
    expect([...objectsOf(plan.after).values()].every(({ table }) => table === 'inet other')).to.be.true;
    expect(planNftables(live, { parts: [] }, 'IPv6').scripts).to.deep.equal([]);
  });
});
