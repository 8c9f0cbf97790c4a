import { expect } from 'chai';
import { parseIptables } from '../../src/iptables/parse.ts';
import { iptablesProgram } from '../../src/iptables/walk.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import type { Outcome } from '../../src/ruleset/walk-outcome.ts';
import { walk } from '../../src/ruleset/walk.ts';
import { packetOf, recordedHost } from '../ruleset/flows.ts';

/** A node port 30080 that leads to one remote endpoint, masqueraded, among rules of others. */
function outcomeWith(filter: readonly string[], more: readonly string[] = []): Outcome {
  const text = [
    '*nat',
    ':PREROUTING ACCEPT [0:0]',
    ':POSTROUTING ACCEPT [0:0]',
    '-A PREROUTING -p tcp -m tcp --dport 30080 -j DNAT --to-destination 10.244.2.14:8080',
    '-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE',
    'COMMIT',
    ...more,
    '*filter',
    ':INPUT ACCEPT [0:0]',
    ':FORWARD ACCEPT [0:0]',
    ...filter,
    'COMMIT',
  ].join('\n');
  const packet = packetOf({
    from: 'outside',
    source: '172.18.0.100',
    destination: '172.18.0.11',
    port: 30080,
    protocol: 'tcp',
  });
  return outcomeOf(walk([iptablesProgram(parseIptables(text), 'IPv4')], packet, recordedHost()));
}

describe('walking foreign iptables rules', () => {
  const verdicts: readonly [rule: string, verdict: string][] = [
    ['-A FORWARD -s 172.18.0.0/24 -j DROP', 'drop'],
    ['-A FORWARD ! -s 172.18.0.0/24 -j DROP', 'endpoint'],
    ['-A FORWARD -p tcp -m multiport --dports 80,8000:8100 -j REJECT --reject-with tcp-reset', 'reject'],
    ['-A FORWARD -p udp -m multiport --dports 80,8000:8100 -j DROP', 'endpoint'],
    ['-A FORWARD -i eth0 -j DROP', 'drop'],
    ['-A FORWARD -i eth+ -j DROP', 'drop'],
    ['-A FORWARD ! -i eth0 -j DROP', 'endpoint'],
    ['-A FORWARD -m conntrack ! --ctstate DNAT -j DROP', 'endpoint'],
    ['-A FORWARD -m conntrack --ctstate NEW -m conntrack --ctorigdst 172.18.0.11/32 -j DROP', 'drop'],
    ['-A FORWARD -m state --state RELATED,ESTABLISHED -j DROP', 'endpoint'],
    ['-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP', 'drop'],
    ['-A FORWARD -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP', 'endpoint'],
    ['-A FORWARD -m iprange --src-range 172.18.0.90-172.18.0.110 -j DROP', 'drop'],
    ['-A FORWARD -m addrtype --dst-type LOCAL -j DROP', 'endpoint'],
    ['-A FORWARD -m addrtype --src-type UNICAST,MULTICAST -j DROP', 'drop'],
    ['-A FORWARD -p icmp -m icmp --icmp-type 8 -j DROP', 'endpoint'],
    [
      '-A FORWARD -m recent --update --seconds 60 --hitcount 4 --name ssh --mask 255.255.255.255 --rsource -j DROP',
      'endpoint',
    ],
    ['-A FORWARD -m limit --limit 5/min -j LOG --log-prefix "no -j DROP \\"here\\" "', 'endpoint'],
    ['-A FORWARD -m comment --comment "-j DROP" -j ACCEPT', 'endpoint'],
    [':FORWARD DROP [0:0]', 'drop'],
  ];
  for (const [rule, verdict] of verdicts) {
    it(`${verdict}: ${rule}`, () => {
      const outcome = outcomeWith([rule]);
      expect(outcome.verdict).to.equal(verdict);
      expect(outcome.uncertain).to.be.false;
    });
  }

  const uncertain: readonly string[] = [
    '-A FORWARD -m set --match-set blocked src -j DROP',
    '-A FORWARD -m limit --limit 5/min --limit-burst 7 -j DROP',
    '-A FORWARD -m physdev --physdev-in veth0 --physdev-is-bridged -j DROP',
    '-A FORWARD -m somenewthing ! --frobnicate 3 -j DROP',
    '-A FORWARD -o docker0 -j DROP',
    '-A FORWARD -j TPROXY --on-port 15001 --on-ip 0.0.0.0',
  ];
  for (const rule of uncertain) {
    it(`is uncertain, goes on, and says what else may happen: ${rule}`, () => {
      const outcome = outcomeWith([rule]);
      expect(outcome.verdict).to.equal('endpoint');
      expect(outcome.uncertain).to.be.true;
      expect(outcome.alternatives.map(({ step, outcome: other }) => [step.rule?.line, other.verdict])).to.deep.equal([
        [rule, 'drop'],
      ]);
    });
  }

  it('does not call a rule that matches in no other way uncertain', () => {
    expect(outcomeWith(['-A FORWARD -s 192.0.2.0/24 -m set --match-set blocked src -j DROP']).uncertain).to.be.false;
  });

  it('says what happens after an uncertain jump', () => {
    const outcome = outcomeWith([
      ':cali-fw - [0:0]',
      '-A FORWARD -m set --match-set pods src -j cali-fw',
      '-A cali-fw -p tcp -j REJECT --reject-with icmp-port-unreachable',
    ]);
    expect([outcome.verdict, outcome.alternatives[0]?.outcome.verdict]).to.deep.equal(['endpoint', 'reject']);
  });

  it('comes back from a called chain, and leaves one that was gone to', () => {
    const chains = [':one - [0:0]', ':two - [0:0]', '-A two -m mark --mark 0x1 -j RETURN'];
    expect(outcomeWith([...chains, '-A FORWARD -j one', '-A one -j two', '-A one -j DROP']).verdict).to.equal('drop');
    expect(outcomeWith([...chains, '-A FORWARD -j one', '-A one -g two', '-A one -j DROP']).verdict).to.equal(
      'endpoint',
    );
  });

  it('ends in a ruleset whose chains call each other', () => {
    const loop = [':one - [0:0]', ':two - [0:0]', '-A FORWARD -j one', '-A one -j two', '-A two -j one'];
    expect(outcomeWith(loop).verdict).to.equal('endpoint');
  });

  it('keeps marks by their masks, into the connection and back', () => {
    const mangle = [
      '*mangle',
      ':PREROUTING ACCEPT [0:0]',
      '-A PREROUTING -j MARK --set-xmark 0x14000/0xffffffff',
      '-A PREROUTING -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff',
      '-A PREROUTING -j MARK --set-xmark 0x0/0xffffffff',
      '-A PREROUTING -j CONNMARK --restore-mark --nfmask 0x4000 --ctmask 0x4000',
      'COMMIT',
    ];
    expect(outcomeWith([], mangle).endpoints.map(({ source }) => source)).to.deep.equal(['snat']);
    expect(outcomeWith(['-A FORWARD -m mark --mark 0x10000/0x10000 -j DROP'], mangle).verdict).to.equal('endpoint');
  });

  it('follows chance with its probability', () => {
    const outcome = outcomeWith(['-A FORWARD -m statistic --mode random --probability 0.25000000000 -j DROP']);
    expect(outcome.endpoints[0]?.probability).to.be.closeTo(0.75, 1e-9);
    expect(outcome.others).to.deep.equal([{ verdict: 'drop', probability: 0.25 }]);
  });
});
