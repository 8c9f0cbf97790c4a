import { expect } from 'chai';
import { nftablesProgram } from '../../src/nftables/walk.ts';
import { parseNftables } from '../../src/nftables/parse.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import type { Outcome } from '../../src/ruleset/walk-outcome.ts';
import { walk } from '../../src/ruleset/walk.ts';
import { packetOf, recordedHost } from '../ruleset/flows.ts';

/** A node port 30080 that leads to one remote endpoint, among rules of others. */
function outcomeWith(rule: string, table = 'inet admin', policy = 'accept', flags = ''): Outcome {
  const text = `table ip kube-proxy { # handle 3
	chain nat {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 30080 counter packets 7 bytes 99 dnat to 10.244.2.14:8080 # handle 12
	}
}
table ${table} {
	${flags}
	set blocked {
		type ipv4_addr
		flags interval
		auto-merge
		elements = { 172.18.0.90-172.18.0.110, 192.0.2.0/24,
			     203.0.113.9 comment "a, b }" timeout 1h expires 50m }
	}

	set meter {
		type ipv4_addr
		flags dynamic,timeout
		timeout 1m
		elements = { 172.18.0.100 timeout 1m expires 30s }
	}

	chain away {
		comment "not to be read as a rule"
		drop
	}

	chain forward {
		type filter hook forward priority filter - 10; policy ${policy};
		${rule}
	}
}
`;
  const packet = packetOf({
    from: 'outside',
    source: '172.18.0.100',
    destination: '172.18.0.11',
    port: 30080,
    protocol: 'tcp',
  });
  return outcomeOf(walk([nftablesProgram(parseNftables(text))], packet, recordedHost()));
}

describe('walking foreign nftables rules', () => {
  const verdicts: readonly [rule: string, verdict: string][] = [
    ['ip saddr @blocked drop', 'drop'],
    ['ip saddr != @blocked drop', 'endpoint'],
    ['ip saddr @meter drop', 'endpoint'],
    ['ip saddr { 10.0.0.1, 172.18.0.0/24 } counter packets 0 bytes 0 log prefix "no, { drop" drop', 'drop'],
    ['ip saddr 172.18.0.1-172.18.0.99 drop', 'endpoint'],
    ['ip6 saddr fd00::/8 drop', 'endpoint'],
    ['meta nfproto ipv4 jump away', 'drop'],
    ['ct state vmap { invalid : drop, established : accept, related : accept }', 'endpoint'],
    ['ct state established,related,new drop', 'drop'],
    ['ct status dnat accept', 'endpoint'],
    ['ct status & dnat == dnat drop', 'drop'],
    ['ct status snat,dnat drop', 'drop'],
    ['ct status ! dnat drop', 'endpoint'],
    ['ct status == dnat drop', 'endpoint'],
    ['ct status != dnat drop', 'drop'],
    ['ct status { snat, dnat } drop', 'endpoint'],
    ['ct state ! established,new drop', 'endpoint'],
    ['ct state != { established, new } drop', 'endpoint'],
    ['ct original ip daddr 172.18.0.11 ct original proto-dst 30080 reject with tcp reset', 'reject'],
    ['iifname { "lo", "eth*" } drop', 'drop'],
    ['iifname "br0" drop', 'endpoint'],
    ['meta l4proto . th dport vmap { tcp . 8000-8100 : goto away, udp . 53 : accept }', 'drop'],
    ['meta l4proto { 17, 132 } drop', 'endpoint'],
    ['tcp dport != { 22, 8080 } drop', 'endpoint'],
    ['udp dport 8080 drop', 'endpoint'],
    ['tcp dport >= 8000 drop', 'drop'],
    ['tcp dport http-alt comment "drop it" accept', 'endpoint'],
    ['meta mark set 0x5 meta mark & 0x4 == 0x4 drop', 'drop'],
    ['meta mark set mark and 0xf or 0x20 meta mark 0x20 drop', 'drop'],
    ['ct state 0x8 drop', 'drop'],
    ['ct status 0x20 drop', 'drop'],
    ['fib saddr type 2 drop', 'endpoint'],
    ['meta mark != 0x00000000/1 drop', 'endpoint'],
    ['meta mark set 0x80000001 meta mark != 0x00000000/1 drop', 'drop'],
    ['meta mark set 0x80000001 meta mark 0xc0000000/2 drop', 'endpoint'],
    ['fib daddr type local drop', 'endpoint'],
    ['fib saddr . iif type { unicast, multicast } drop', 'drop'],
    ['limit rate 10/second burst 5 packets log prefix "drop "', 'endpoint'],
    ['meta nftrace set 1', 'endpoint'],
  ];
  for (const [rule, verdict] of verdicts) {
    it(`${verdict}: ${rule}`, () => {
      const outcome = outcomeWith(rule);
      expect(outcome.verdict).to.equal(verdict);
      expect(outcome.uncertain).to.be.false;
    });
  }

  const uncertain: readonly string[] = [
    'limit rate over 10/second burst 5 packets drop',
    'tcp flags & (fin | syn | rst | ack) != syn drop',
    'meta skuid 0 ip saddr 172.18.0.0/16 jump away',
    'oifname "docker0" drop',
    'xt match "set" counter packets 0 bytes 0 drop',
    'queue flags bypass to 3',
  ];
  for (const rule of uncertain) {
    it(`is uncertain, goes on, and says what else may happen: ${rule}`, () => {
      const outcome = outcomeWith(rule);
      expect(outcome.verdict).to.equal('endpoint');
      expect(outcome.uncertain).to.be.true;
      expect(outcome.alternatives.map(({ step, outcome: other }) => [step.rule?.line, other.verdict])).to.deep.equal([
        [rule, 'drop'],
      ]);
    });
  }

  it('asks tables of the family alone, and those for both', () => {
    expect(outcomeWith('drop', 'ip admin').verdict).to.equal('drop');
    expect(outcomeWith('drop', 'ip6 admin').verdict).to.equal('endpoint');
    expect(outcomeWith('drop', 'bridge admin').verdict).to.equal('endpoint');
  });

  it('does not ask a table that was put to sleep', () => {
    expect(outcomeWith('drop', 'inet admin', 'drop', 'flags dormant').verdict).to.equal('endpoint');
  });

  it('applies the policy of a chain that has no verdict', () => {
    expect(outcomeWith('ct state invalid drop', 'inet admin', 'drop').verdict).to.equal('drop');
  });

  it('loses the connections for which chance finds no element', () => {
    const outcome = outcomeWith('numgen random mod 4 vmap { 0 : drop, 1-2 : accept }');
    expect(outcome.endpoints[0]?.probability).to.be.closeTo(0.75, 1e-9);
    expect(outcome.others).to.deep.equal([{ verdict: 'drop', probability: 0.25 }]);
  });
});
