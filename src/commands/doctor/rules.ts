import { proxyChainCount, ruleCount } from '../../kernel/iptables-variant.ts';
import { fine, textOf, unseen } from './finding.ts';
import type { Finding, Sight } from './finding.ts';
import type { Holdings, Saved } from './holdings.ts';

/** Which variant and which mode hold rules for Services; two of them at once send packets both ways. */
export async function checkHolders(sight: Sight, holdings: Holdings): Promise<readonly Finding[]> {
  return [
    ...variantFindings(holdings),
    ...modeFindings(sight, holdings),
    ...(await ipvsFindings(sight)),
    ...processFindings(sight),
  ];
}

/** Variants of iptables that hold a proxy's chains. */
function proxyVariants({ saved }: Holdings): readonly Saved['variant'][] {
  return [...new Set(saved.filter(({ text }) => proxyChainCount(text) > 0).map(({ variant }) => variant))];
}

function variantFindings(holdings: Holdings): readonly Finding[] {
  const { saved } = holdings;
  const unread = saved.filter(({ error }) => error !== undefined);
  const counts = saved
    .filter(({ error }) => error === undefined)
    .map((one) => `${toolOf(one)} ${ruleCount(one.text)} rules (${proxyChainCount(one.text)} chains of a proxy)`);
  const missing = unread.map((one) => unseen('iptables-variants', `the rules of ${toolOf(one)}`, one.error ?? ''));
  if (counts.length === 0) return missing;
  const what = counts.join(', ');
  if (proxyVariants(holdings).length < 2) return [fine('iptables-variants', what), ...missing];
  return [
    {
      code: 'iptables-variants',
      level: 'problem',
      what,
      means:
        'both variants send packets to endpoints; the rules that nobody updates any more lead to pods that are gone',
      do: 'portwright apply removes those of the other variant; with --iptables-variant you say which is the other',
      show: 'iptables-nft-save | grep -c KUBE-; iptables-legacy-save | grep -c KUBE-',
    },
    ...missing,
  ];
}

function toolOf({ variant, family }: Saved): string {
  return `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}`;
}

function modeFindings({ config }: Sight, holdings: Holdings): readonly Finding[] {
  const code = 'proxy-mode';
  const { proxyTables, nftError, nftCrash } = holdings;
  if (nftCrash !== undefined) {
    return [
      {
        code: 'nft-crash',
        level: config.mode === 'nftables' ? 'problem' : 'warning',
        what: `nft crashes (${nftCrash}) when it lists the chains of this host`,
        means: 'it is older than the nft that wrote one of the tables; nothing can be said about nftables mode',
        do: 'install an nft as new as the newest that writes rules on this host',
        show: 'nft list chains',
      },
    ];
  }
  if (nftError !== undefined) return [unseen(code, 'the tables of nft', nftError)];
  const hasIptables = proxyVariants(holdings).length > 0;
  const tables = `table ${proxyTables.join(' and ')}`;
  const show = 'nft list tables; iptables-save | grep KUBE-SERVICES';
  if (hasIptables && proxyTables.length > 0) {
    return [
      {
        code,
        level: 'problem',
        what: `rules of both modes are there: ${tables}, and chains of iptables mode`,
        means: 'whichever comes first decides; the rules of the mode that no proxy uses any more are out of date',
        do: `portwright apply --proxy-mode ${config.mode} removes those of the other mode once its own stand`,
        show,
      },
    ];
  }
  const held = hasIptables ? 'iptables' : proxyTables.length > 0 ? 'nftables' : undefined;
  if (held === undefined) return [fine(code, 'no proxy has written rules', 'this node serves no Service yet')];
  if (held === config.mode) return [fine(code, `the rules of a proxy in ${held} mode are there`)];
  return [
    {
      code,
      level: 'warning',
      what: `the rules of a proxy in ${held} mode are there, and doctor was asked about ${config.mode} mode`,
      means: `portwright run would write rules of ${config.mode} mode and then remove the others`,
      do: `give --proxy-mode ${held} if this node is to stay as it is`,
      show,
    },
  ];
}

async function ipvsFindings({ files }: Sight): Promise<readonly Finding[]> {
  const devices = await textOf(files, '/proc/net/dev');
  const services = await textOf(files, '/proc/net/ip_vs');
  const isLeft = /^\s*kube-ipvs0:/m.test(devices ?? '');
  const count = services?.match(/^(TCP|UDP|SCTP) /gm)?.length ?? 0;
  if (!isLeft && count === 0) return [fine('ipvs', 'nothing is left of a proxy in ipvs mode')];
  return [
    {
      code: 'ipvs',
      level: 'problem',
      what: `left of a proxy in ipvs mode: ${[...(isLeft ? ['interface kube-ipvs0'] : []), ...(count > 0 ? [`${count} virtual services`] : [])].join(', ')}`,
      means: 'the kernel takes cluster IPs for addresses of this node and answers for them itself',
      do: 'ip link delete kube-ipvs0; ipvsadm --clear, once no kube-proxy in ipvs mode runs',
      show: 'ip addr show kube-ipvs0; cat /proc/net/ip_vs',
    },
  ];
}

/** Programs that serve Services, too, by what they are called. */
const proxies = new Set(['kube-proxy', 'kube-router', 'cilium-agent', 'k3s-server', 'k3s-agent', 'k3s', 'kpng']);

function processFindings({ processes }: Sight): readonly Finding[] {
  const running = processes.filter(({ name }) => proxies.has(name));
  if (running.length === 0) return [fine('other-proxy', 'no other proxy runs in sight')];
  return running.map(({ name, pid }) => ({
    code: 'other-proxy',
    level: 'warning',
    what: `${name} runs (pid ${pid})`,
    means: 'if it serves Services, it and Portwright rewrite each other’s rules',
    do: `stop ${name}, or its part that serves Services, before \`portwright run\``,
    show: `ps -fp ${pid}`,
  }));
}
