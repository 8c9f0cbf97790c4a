import { expect } from 'chai';
import { parseIptables } from '../../src/iptables/parse.ts';
import { iptablesProgram } from '../../src/iptables/walk.ts';
import { candidates } from '../../src/ruleset/walk-index.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import type { WalkState } from '../../src/ruleset/walk-program.ts';
import { walk } from '../../src/ruleset/walk.ts';
import { packetOf, recordedHost } from './flows.ts';

const services = 2000;

/** A dispatch chain with a rule for each of many Services, a node port rule for each, and a tail. */
function dump(): string {
  const rules = Array.from({ length: services }, (_, index) => {
    const address = `10.96.${index >> 8}.${index & 255}`;
    return [
      `-A PREROUTING -d ${address}/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.1.11:${index + 1}`,
      `-A PREROUTING -p tcp -m tcp --dport ${30_000 + index} -j DNAT --to-destination 10.244.1.12:${index + 1}`,
    ];
  });
  const tail = '-A PREROUTING -m addrtype --dst-type LOCAL -j DROP';
  return ['*nat', ':PREROUTING ACCEPT [0:0]', ...rules.flat(), tail, 'COMMIT', ''].join('\n');
}

describe('a long dispatch chain', () => {
  const program = iptablesProgram(parseIptables(dump()), 'IPv4');
  const flow = { from: 'outside', source: '172.18.0.100', protocol: 'tcp' } as const;

  it('is looked at only where it can match', () => {
    const { destination, port } = packetOf({ ...flow, destination: '10.96.3.7', port: 30_005 });
    const [base] = program.baseChains;
    const found = candidates(base!.chain, { destination, port } as WalkState, 0);
    // The rule of the address, that of the port, and the tail, in their order.
    expect(found).to.deep.equal([11, 2 * (3 * 256 + 7), 2 * services]);
    expect(candidates(base!.chain, { destination, port } as WalkState, 12)).to.deep.equal(found.slice(1));
  });

  for (const [destination, port, verdict] of [
    ['10.96.3.7', 80, 'endpoint'],
    ['172.18.0.11', 30_005, 'endpoint'],
    ['172.18.0.11', 80, 'drop'],
    ['192.0.2.1', 80, 'pass'],
  ] as const) {
    it(`gives the answer of a full look: ${destination}:${port} ${verdict}`, () => {
      const outcome = outcomeOf(walk([program], packetOf({ ...flow, destination, port }), recordedHost()));
      expect(outcome.verdict).to.equal(verdict);
    });
  }
});
