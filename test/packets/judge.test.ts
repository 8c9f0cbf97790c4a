import { expect } from 'chai';

import { createLab } from '../support/lab.ts';
import type { Lab } from '../support/lab.ts';
import { clientMemory } from './client-memory.ts';
import { judgeFlows } from './judge.ts';
import type { Court } from './judge.ts';
import { clearRules, loadRecorded } from './recorded-rules.ts';
import type { Writer } from './recorded-rules.ts';
import { readCase } from './rules-case.ts';
import { judgeInits } from './sctp.ts';

/** The control group: rules that the real kube-proxy wrote, and what the judge must say when they are spoilt. */
describe('judge of flows', function () {
  this.timeout(120_000);
  let lab: Lab;

  before(async () => {
    lab = await createLab();
  });
  after(() => lab.remove());

  const judge = async (name: string, writer: Writer, spoil: string, more: Partial<Court> = {}) => {
    const found = readCase(name);
    await lab.listen(found.listeners);
    await clearRules(lab);
    await lab.allowLocalhostNodePorts(found.hasLocalhostNodePorts);
    await loadRecorded(lab, found, writer);
    await lab.node.shell(spoil);
    const flows = found.flows(writer === 'nftables' ? 'nftables' : 'iptables');
    const wrongs = await judgeFlows({ lab, forgetClients: await clientMemory(lab, writer), ...more }, flows);
    return [...wrongs, ...(await judgeInits(lab, flows))];
  };

  for (const writer of ['iptables-nft', 'iptables-legacy', 'nftables'] as const) {
    for (const name of [
      'nodeport',
      'dual-stack',
      'session-affinity',
      'loadbalancer-source-ranges',
      'three-protocols-one-port',
    ]) {
      it(`finds nothing wrong with the recorded rules of ${name}, written by ${writer}`, async () => {
        expect(await judge(name, writer, ':')).to.deep.equal([]);
      });
    }
  }

  /** `chain PART` is the one chain whose name starts so. */
  const helpers = `
    chain() { iptables-nft-save -t nat | sed -n "s/^:\\($1-[A-Z0-9]*\\) .*/\\1/p" | head -n 1; }
    nat() { iptables-nft -t nat "$@"; }
  `;
  const spoilt: readonly (readonly [what: string, name: string, script: string, complaint: RegExp])[] = [
    [
      'an endpoint that is never chosen',
      'nodeport',
      'nat -D $(chain KUBE-SVC) 2',
      /10\.244\.1\.11:8080 is never chosen/,
    ],
    [
      'an endpoint that is none of the Service',
      'nodeport',
      'nat -I $(chain KUBE-SEP) -p tcp -j DNAT --to-destination 10.244.1.12:8080',
      /(reached 10\.244\.1\.12:8080, which is not one|expected an endpoint, got reject)/,
    ],
    [
      'a source that is not masqueraded',
      'nodeport',
      'nat -F KUBE-MARK-MASQ',
      /saw the source .*, expected snat|got drop/,
    ],
    [
      'a source that should have been kept',
      'nodeport',
      'nat -I $(chain KUBE-SVC) -j KUBE-MARK-MASQ',
      /saw the source .*, expected kept/,
    ],
    [
      'a client that moves',
      'session-affinity',
      'nat -D $(chain KUBE-SVC) 2; nat -D $(chain KUBE-SVC) 2',
      /client moved/,
    ],
    [
      'an SCTP endpoint that is never chosen',
      'three-protocols-one-port',
      `nat -D $(nat -S | sed -n 's/^-A \\(.* -p sctp .*DNAT --to-destination 10.244.1.11:8080\\)$/\\1/p' | tr -d '"')`,
      /sctp .* expected endpoint, got|sctp .*10\.244\.1\.11:8080 is never chosen/,
    ],
    ['a missing reject', 'clusterip-no-endpoints', 'iptables-nft -F KUBE-SERVICES', /expected reject, got pass/],
    ['a missing drop', 'loadbalancer-source-ranges', 'iptables-nft -F KUBE-PROXY-FIREWALL', /expected drop, got pass/],
    ['a node port that is lost', 'nodeport', 'nat -F KUBE-NODEPORTS', /expected an endpoint, got host/],
    [
      'a drop of everything',
      'clusterip-one-endpoint',
      'iptables-nft -I FORWARD -j DROP',
      /expected an endpoint, got drop/,
    ],
  ];
  for (const [what, name, script, complaint] of spoilt) {
    it(`notices ${what}`, async () => {
      const wrongs = await judge(name, 'iptables-nft', helpers + script, { patienceMs: 1500 });
      expect(
        wrongs.some((wrong) => complaint.test(wrong)),
        wrongs.join('\n'),
      ).to.equal(true);
    });
  }
});
