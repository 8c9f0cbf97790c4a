import { join } from 'node:path';

import type { Lab } from '../support/lab.ts';
import type { RulesCase } from './rules-case.ts';

/** Which pair of iptables tools writes the rules, or nft. */
export type Writer = 'iptables-nft' | 'iptables-legacy' | 'nftables';

/** Puts the rules that were recorded from the real kube-proxy into the node: the control group of the packet tests. */
export async function loadRecorded(lab: Lab, { directory }: RulesCase, writer: Writer): Promise<void> {
  if (writer === 'nftables') {
    await lab.node.mustExec('nft', '-f', join(directory, 'table-ip.nft'));
    await lab.node.mustExec('nft', '-f', join(directory, 'table-ip6.nft'));
    return;
  }
  for (const counter of [
    'ct_state_invalid_dropped_pkts',
    'iptables_localhost_nodeports_accepted_pkts',
    'localhost_nps_accepted_pkts',
  ]) {
    await lab.node.exec('nfacct', 'add', counter); // Fails where it exists already.
  }
  const variant = writer === 'iptables-nft' ? 'nft' : 'legacy';
  await lab.node.mustExec(`iptables-${variant}-restore`, join(directory, 'iptables.rules'));
  await lab.node.mustExec(`ip6tables-${variant}-restore`, join(directory, 'ip6tables.rules'));
}

/** Leaves the node without a rule and without a remembered flow. */
export async function clearRules(lab: Lab): Promise<void> {
  await lab.node.shell(`
    nft flush ruleset
    for tool in iptables ip6tables; do
      $tool-legacy-restore <<'END'
*nat
COMMIT
*filter
COMMIT
*mangle
COMMIT
END
    done`);
  await lab.forgetFlows();
}
