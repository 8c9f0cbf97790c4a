import { ephemeralPorts, isEphemeral } from '../../kernel/port-ranges.ts';
import { fine, textOf, unseen } from './finding.ts';
import type { Finding, Sight } from './finding.ts';
import type { Holdings } from './holdings.ts';

/** Whether the kernel forwards packets to pods at all. */
export async function checkForwarding({ files, config }: Sight): Promise<readonly Finding[]> {
  const settings = [
    { family: 'IPv4', code: 'ip-forward', setting: 'net.ipv4.ip_forward', level: 'problem' },
    // A node without IPv6 pods often leaves it off; the Services of IPv6 are then not reachable anyway.
    { family: 'IPv6', code: 'ipv6-forward', setting: 'net.ipv6.conf.all.forwarding', level: 'warning' },
  ] as const;
  const wanted = settings.filter(({ family }) => config.ipFamilies.includes(family));
  return Promise.all(
    wanted.map(async ({ family, code, setting, level }): Promise<Finding> => {
      const value = await sysctlOf(files, setting);
      if (value === undefined) return unseen(code, setting, `no such setting: the kernel may have no ${family}`);
      if (value !== '0') return fine(code, `${setting} is ${value}`, `packets of ${family} are forwarded to pods`);
      return {
        code,
        level,
        what: `${setting} is 0`,
        means: `this node forwards no ${family} packet: node ports answer only for pods of the host network`,
        do: `sysctl -w ${setting}=1, and write it to /etc/sysctl.d`,
        show: `sysctl ${setting}`,
      };
    }),
  );
}

/** Strict reverse path checks drop answers that come back by another interface. */
export async function checkReversePath({ files, run }: Sight): Promise<readonly Finding[]> {
  const all = await sysctlOf(files, 'net.ipv4.conf.all.rp_filter');
  if (all === undefined) return [unseen('rp-filter', 'net.ipv4.conf.all.rp_filter', 'no such setting')];
  const names = await interfaceNames(run);
  if (names === undefined) return [unseen('rp-filter', 'the interfaces', 'ip does not tell')];
  const strict: string[] = [];
  for (const name of names) {
    const own = await textOf(files, `/proc/sys/net/ipv4/conf/${name}/rp_filter`);
    // The kernel takes the larger of the two; 2 is the loose check.
    if (Math.max(Number(all), Number(own ?? 0)) === 1) strict.push(name);
  }
  if (strict.length === 0) return [fine('rp-filter', 'rp_filter is strict on no interface')];
  return [
    {
      code: 'rp-filter',
      level: 'warning',
      what: `rp_filter is strict (1) on ${strict.slice(0, 8).join(', ')}${strict.length > 8 ? ' and others' : ''}`,
      means:
        'on a node with several ways out, node port traffic whose answer would leave by another interface is dropped without a trace',
      do: 'sysctl -w net.ipv4.conf.all.rp_filter=2 (loose) if this node has more than one way out',
      show: 'sysctl -a -r rp_filter; nstat -az TcpExtIPReversePathFilter',
    },
  ];
}

/** `route_localnet` lets neighbours reach what listens on 127.0.0.1, unless the guard rule stands. */
export async function checkRouteLocalnet({ files, config }: Sight, holdings: Holdings): Promise<readonly Finding[]> {
  const code = 'route-localnet';
  const value = await sysctlOf(files, 'net.ipv4.conf.all.route_localnet');
  if (value === undefined) return [unseen(code, 'net.ipv4.conf.all.route_localnet', 'no such setting')];
  const ipv4 = holdings.saved.filter(({ family }) => family === 'IPv4');
  const isGuarded = ipv4.some(({ text }) => text.includes('block incoming localnet connections'));
  if (value === '0') {
    const isWanted = config.mode === 'iptables' && config.localhostNodePorts;
    const means = isWanted
      ? 'node ports do not answer on localhost until `portwright apply` or `run` sets it'
      : 'as it should be';
    return [fine(code, 'net.ipv4.conf.all.route_localnet is 0', means)];
  }
  if (isGuarded) return [fine(code, `net.ipv4.conf.all.route_localnet is ${value}, and its guard rule stands`)];
  if (ipv4.every(({ error }) => error !== undefined))
    return [unseen(code, 'the guard rule of route_localnet', ipv4[0]?.error ?? '')];
  return [
    {
      code,
      level: 'problem',
      what: `net.ipv4.conf.all.route_localnet is ${value} and no rule guards localhost`,
      means: 'hosts of the same network can reach what listens on 127.0.0.1 of this node (CVE-2020-8558)',
      do: 'portwright apply (it writes the guard rule), or sysctl -w net.ipv4.conf.all.route_localnet=0',
      show: 'sysctl net.ipv4.conf.all.route_localnet; iptables -S KUBE-FIREWALL',
    },
  ];
}

/** Whether packets between pods of one bridge come by our rules. */
export async function checkBridges({ files, run, config }: Sight): Promise<readonly Finding[]> {
  const bridges = await interfaceNames(run, ['type', 'bridge']);
  if (bridges === undefined) return [unseen('bridge-nf-call', 'bridges', 'ip does not tell')];
  if (bridges.length === 0) return [fine('bridge-nf-call', 'there is no bridge')];
  const names = config.ipFamilies.map((family) => `bridge-nf-call-${family === 'IPv4' ? 'iptables' : 'ip6tables'}`);
  return Promise.all(
    names.map(async (name): Promise<Finding> => {
      const value = await textOf(files, `/proc/sys/net/bridge/${name}`);
      if (value === '1') return fine('bridge-nf-call', `net.bridge.${name} is 1`);
      return {
        code: 'bridge-nf-call',
        level: 'warning',
        what:
          value === undefined
            ? `br_netfilter is not loaded, and there are bridges: ${bridges.join(', ')}`
            : `net.bridge.${name} is ${value}`,
        means:
          'if pods hang on a bridge of this node, a Service does not answer where client and endpoint are on the same bridge',
        do: `modprobe br_netfilter; sysctl -w net.bridge.${name}=1, if your network plugin uses a bridge`,
        show: `sysctl net.bridge.${name}; ip link show type bridge`,
      };
    }),
  );
}

/** How full the table of connections is, and how it treats packets it cannot place. */
export async function checkConntrack({ files, config }: Sight): Promise<readonly Finding[]> {
  const max = await sysctlOf(files, 'net.netfilter.nf_conntrack_max');
  const count = await sysctlOf(files, 'net.netfilter.nf_conntrack_count');
  if (max === undefined || count === undefined) {
    return [unseen('conntrack', 'the table of connections', 'nf_conntrack is not loaded yet; the first rule loads it')];
  }
  const liberal = await sysctlOf(files, 'net.netfilter.nf_conntrack_tcp_be_liberal');
  const share = Number(max) === 0 ? 0 : Number(count) / Number(max);
  const what = `${count} of ${max} tracked connections (${Math.round(share * 100)}%)`;
  const isLiberal = liberal === '1' || config.conntrack.tcpBeLiberal;
  return [
    share < 0.75
      ? fine('conntrack', what)
      : {
          code: 'conntrack',
          level: share < 0.95 ? 'warning' : 'problem',
          what,
          means: 'when the table is full, new connections are dropped, those to Services among them',
          do: `sysctl -w net.netfilter.nf_conntrack_max=${2 * Number(max)}, or find who opens so many: conntrack -L`,
          show: 'sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; conntrack -S',
        },
    fine(
      'conntrack-liberal',
      `nf_conntrack_tcp_be_liberal is ${liberal ?? '0'}`,
      isLiberal
        ? 'packets outside of a TCP window are let through; no rule drops INVALID packets'
        : 'packets that conntrack calls INVALID are dropped when forwarded, so that they do not end connections',
    ),
  ];
}

/** Outgoing connections must not get the number of a node port. */
export async function checkPortRanges({ files, config }: Sight): Promise<readonly Finding[]> {
  const code = 'ephemeral-range';
  const ephemeral = await ephemeralPorts(files);
  if (ephemeral === undefined) return [unseen(code, 'net.ipv4.ip_local_port_range', 'no such setting')];
  const { first, last } = config.nodePortRange;
  const ports = Array.from({ length: last - first + 1 }, (_, at) => first + at);
  const taken = ports.filter((port) => isEphemeral(ephemeral, port)).length;
  const ranges = `node ports are ${first}-${last}, outgoing connections get ${ephemeral.first}-${ephemeral.last}`;
  if (taken === 0) return [fine(code, ranges, 'no number can be both')];
  return [
    {
      code,
      level: 'problem',
      what: `${ranges}: ${taken} numbers can be both`,
      means:
        'answers to an outgoing connection that got the number of a node port go to the Service: now and then one times out',
      do: `sysctl -w net.ipv4.ip_local_reserved_ports=${first}-${last} (with what is reserved already), and write it to /etc/sysctl.d`,
      show: 'sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports',
    },
  ];
}

/** Named as the sysctl tool does. */
function sysctlOf(files: Sight['files'], name: string): Promise<string | undefined> {
  return textOf(files, `/proc/sys/${name.replaceAll('.', '/')}`);
}

/** Absent when `ip` tells nothing. */
async function interfaceNames(run: Sight['run'], kind: readonly string[] = []): Promise<readonly string[] | undefined> {
  const result = await run('ip', ['-j', 'link', 'show', ...kind]);
  if (result.exitCode !== 0) return undefined;
  if (result.stdout.trim() === '') return [];
  const links = JSON.parse(result.stdout) as readonly { readonly ifname?: string }[];
  return links.flatMap(({ ifname }) => (ifname === undefined || ifname === 'lo' ? [] : [ifname]));
}
