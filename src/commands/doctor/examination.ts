import type { Config } from '../../config/config.ts';
import type { Variant } from '../../kernel/iptables-tools.ts';
import { detectVariant } from '../../kernel/iptables-variant.ts';
import { runningProcesses } from '../../kernel/processes.ts';
import { openKernel } from '../live/kernel.ts';
import { checkApi } from './api.ts';
import { checkIptablesFeatures, checkNftFeatures } from './features.ts';
import type { Finding, Sight } from './finding.ts';
import { checkFirewalls } from './firewalls.ts';
import { readHoldings } from './holdings.ts';
import { checkLock, checkRights } from './host.ts';
import { checkHolders } from './rules.ts';
import {
  checkBridges,
  checkConntrack,
  checkForwarding,
  checkPortRanges,
  checkReversePath,
  checkRouteLocalnet,
} from './sysctls.ts';
import { checkTools, checkVersions } from './tools.ts';

/** Everything that can be seen of this node with the rights we have, in no order of gravity. */
export async function examineNode(config: Config, env: Sight['env']): Promise<readonly Finding[]> {
  const kernel = await openKernel(env);
  const variant = config.iptablesVariant === 'auto' ? (await detectVariant(kernel)).variant : config.iptablesVariant;
  return findingsOf({ ...kernel, config, env, processes: await runningProcesses() }, variant);
}

async function findingsOf(sight: Sight, variant: Variant): Promise<readonly Finding[]> {
  const holdings = await readHoldings(sight);
  const findings = await Promise.all([
    checkVersions(sight),
    checkTools(sight),
    checkRights(sight, variant),
    checkHolders(sight, holdings),
    checkFeatures(sight, variant),
    checkForwarding(sight),
    checkReversePath(sight),
    checkRouteLocalnet(sight, holdings),
    checkBridges(sight),
    checkConntrack(sight),
    checkPortRanges(sight),
    checkFirewalls(sight, holdings),
    checkLock(sight, variant),
    checkApi(sight),
  ]);
  return findings.flat();
}

/** What the other mode cannot do here is worth knowing before a change of mode, but no problem. */
async function checkFeatures(sight: Sight, variant: Variant): Promise<readonly Finding[]> {
  const isNftables = sight.config.mode === 'nftables';
  const [ofIptables, ofNft] = await Promise.all([checkIptablesFeatures(sight, variant), checkNftFeatures(sight)]);
  return [...(isNftables ? ofIptables.map(asWarning) : ofIptables), ...(isNftables ? ofNft : ofNft.map(asWarning))];
}

function asWarning(finding: Finding): Finding {
  return finding.level === 'problem' ? { ...finding, level: 'warning' } : finding;
}
