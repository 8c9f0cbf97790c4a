import type { Run } from '../../kernel/run.ts';
import { isDormant } from '../../nftables/spelling.ts';
import { fine, unseen } from './finding.ts';
import type { Finding, Sight } from './finding.ts';
import type { BaseChain, Holdings, Saved } from './holdings.ts';

/** Policies and firewalls that would drop traffic of Services. */
export async function checkFirewalls({ processes, run }: Sight, holdings: Holdings): Promise<readonly Finding[]> {
  const read = holdings.saved.filter(({ error }) => error === undefined);
  const policies = read.flatMap((saved) => [...forwardFindings(saved), ...inputFindings(saved)]);
  const chains = await Promise.all(holdings.baseChains.map((chain) => chainFindings(chain, run)));
  const unread =
    read.length === holdings.saved.length && holdings.nftError === undefined
      ? []
      : [unseen('firewall', 'part of the firewall', 'the rules could not be read (iptables-variants says why)')];
  const nothing =
    policies.length + chains.flat().length + unread.length === 0
      ? [fine('firewall', 'no policy and no base chain of others drops forwarded packets')]
      : [];
  const runs = (name: string) => processes.some((one) => one.name === name);
  return [
    ...policies,
    ...chains.flat(),
    ...unread,
    ...nothing,
    ...(runs('firewalld') || holdings.baseChains.some(({ table }) => table === 'firewalld') ? [firewalld] : []),
    ...(read.some(({ text }) => text.includes(':ufw-before-forward ')) ? [ufw] : []),
  ];
}

/** Rules of FORWARD that are not a proxy's or docker's: a network plugin or an administrator may let packets pass there. */
const otherForwardRule = /^-A FORWARD (?!.*(?:KUBE-|DOCKER)).*-j (?!DROP|REJECT|LOG|NFLOG)/m;
const refusesForwarded = /^-A FORWARD -j (?:DROP|REJECT)\b/m;

function forwardFindings({ variant, family, text }: Saved): readonly Finding[] {
  const tool = family === 'IPv4' ? 'iptables' : 'ip6tables';
  const isDropped = /^:FORWARD DROP /m.test(text);
  if (!isDropped && !refusesForwarded.test(text)) return [];
  const isDocker = /^:DOCKER(-USER|-FORWARD)? /m.test(text);
  const hasOther = otherForwardRule.test(text);
  const seen = isDropped ? 'the policy of FORWARD is DROP' : 'FORWARD ends in a rule that refuses everything';
  return [
    {
      code: 'forward-policy',
      level: hasOther ? 'warning' : 'problem',
      what: `${tool} (${variant}): ${seen}${isDocker ? '; docker sets it' : ''}`,
      means: `${hasOther ? 'unless a rule of your network plugin lets them pass, ' : ''}packets to pods are dropped, but for those that are masqueraded or answers`,
      do: isDocker
        ? `${tool} -I DOCKER-USER -d POD-CIDR -j ACCEPT, and the same with -s; or "ip-forward-no-drop" in docker's configuration`
        : `${tool} -P FORWARD ACCEPT, or let the pod CIDR pass: ${tool} -I FORWARD -d POD-CIDR -j ACCEPT, and the same with -s`,
      show: `${tool}-${variant} -S FORWARD`,
    },
  ];
}

function inputFindings({ variant, family, text }: Saved): readonly Finding[] {
  if (!/^:INPUT DROP /m.test(text)) return [];
  const tool = family === 'IPv4' ? 'iptables' : 'ip6tables';
  return [
    {
      code: 'input-policy',
      level: 'warning',
      what: `${tool} (${variant}): the policy of INPUT is DROP`,
      means:
        'node ports of pods in the host network, and the health checks on port 10256, need a rule that lets them in; other node ports are forwarded and do not',
      do: `${tool} -I INPUT -p tcp --dport 10256 -j ACCEPT, and the ports of such pods`,
      show: `${tool}-${variant} -S INPUT`,
    },
  ];
}

const hooks = new Set(['prerouting', 'input', 'forward', 'output', 'postrouting', 'ingress']);

async function chainFindings(chain: BaseChain, run: Run): Promise<readonly Finding[]> {
  const findings = activeChainFindings(chain);
  // Only then its whole table is worth a look, which can be large.
  return findings.length > 0 && (await isInDormantTable(chain, run)) ? [] : findings;
}

/** JSON says that a table has flags, but not which. Unread counts as active. */
async function isInDormantTable({ family, table }: BaseChain, run: Run): Promise<boolean> {
  const { stdout } = await run('nft', ['-t', 'list', 'table', family, table]);
  return isDormant(stdout.split('\n').map((line) => line.trim()));
}

/** In nft a packet must pass every base chain of a hook: an accept elsewhere does not save it. */
function activeChainFindings({ family, table, name, type, hook, priority, policy }: BaseChain): readonly Finding[] {
  if (!hooks.has(hook)) return [];
  const where = `chain ${name} of table ${family} ${table}`;
  const show = `nft list chain ${family} ${table} ${name}`;
  if (policy === 'drop') {
    return [
      {
        code: 'nft-drop-policy',
        level: hook === 'forward' || hook === 'prerouting' ? 'problem' : 'warning',
        what: `${where} drops at ${hook} what it does not accept`,
        means: 'no rule of a proxy can let such a packet pass; it must be accepted in that chain',
        do: `let traffic of pods pass in ${where}, or make its policy accept`,
        show,
      },
    ];
  }
  if (type !== 'nat' || hook !== 'prerouting' || priority >= -100) return [];
  return [
    {
      code: 'nft-earlier-chain',
      level: 'warning',
      what: `${where} translates addresses before the rules for Services (priority ${priority})`,
      means: 'a packet whose destination it changes never gets to its Service',
      do: 'see that its rules leave cluster IPs and node ports alone',
      show,
    },
  ];
}

const firewalld: Finding = {
  code: 'firewalld',
  level: 'warning',
  what: 'firewalld is active',
  means:
    'it refuses forwarded packets that no zone accepts, and in iptables mode a reload may remove the rules (Portwright puts them back)',
  do: 'firewall-cmd --permanent --zone=trusted --add-source=POD-CIDR, and the interface of the pods; then --reload',
  show: 'firewall-cmd --list-all-zones',
};

const ufw: Finding = {
  code: 'ufw',
  level: 'warning',
  what: 'ufw is active',
  means: 'it drops forwarded packets unless DEFAULT_FORWARD_POLICY is ACCEPT or a route rule allows them',
  do: 'ufw route allow to POD-CIDR, or DEFAULT_FORWARD_POLICY="ACCEPT" in /etc/default/ufw',
  show: 'ufw status verbose',
};
