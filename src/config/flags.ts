import { printFlag, readFlag } from './flag-type.ts';
import type { FlagType } from './flag-type.ts';

/** The heading a flag stands under in the help. */
export type FlagGroup =
  'Configuration' | 'Traffic' | 'Synchronisation' | 'Servers' | 'Logging' | 'Accepted without effect';

/** A flag of the command line. */
export interface Flag {
  /** Without dashes. */
  readonly name: string;
  /** One letter, without dash. */
  readonly short?: string;
  readonly type: FlagType;
  /** As kube-proxy prints it; empty: none. */
  readonly default: string;
  /** One sentence without full stop. */
  readonly help: string;
  readonly group: FlagGroup;
  /** The fields of KubeProxyConfiguration it sets. */
  readonly fields: readonly string[];
  /** It has its say also when `--config` is given, and then wins over the file. */
  readonly winsOverFile: boolean;
  /** kube-proxy does not have it. */
  readonly isOurs: boolean;
}

/** What the command line gave, by the names commander derives: `proxyMode` for `--proxy-mode`. */
export type FlagValues = Readonly<Record<string, unknown>>;

type Row = readonly [name: string, type: FlagType, initial: string, fields: string, help: string];

const winning: readonly Flag[] = [
  ...rows('Configuration', { winsOverFile: true }, [
    ['config', 'string', '', '', 'file with a KubeProxyConfiguration; most other flags are then ignored'],
    ['write-config-to', 'string', '', '', 'write the effective configuration to this file and exit'],
    ['cleanup', 'bool', 'false', '', 'remove all rules of kube-proxy and Portwright and exit'],
    ['init-only', 'bool', 'false', '', 'do only what needs full privileges, then exit'],
    ['hostname-override', 'string', '', 'hostnameOverride', 'name of this node, instead of the host name'],
    ['master', 'string', '', '', 'URL of the API server, instead of the one in the kubeconfig'],
    [
      'kubeconfig',
      'string',
      '',
      'clientConnection.kubeconfig',
      'file with the address and credentials of the API server',
    ],
    ['proxy-mode', 'string', '', 'mode', 'iptables (also when empty) or nftables'],
  ]),
  ...rows('Logging', { winsOverFile: true }, [
    ['v', 'level', '0', 'logging.verbosity', 'how much is logged'],
    ['logging-format', 'string', 'text', 'logging.format', 'text or json'],
  ]),
];

const ours: readonly Flag[] = rows('Configuration', { winsOverFile: true, isOurs: true }, [
  ['node-addresses', 'list', '', '', 'addresses of this node, instead of those of the host or the Node'],
  ['ip-family', 'string', '', '', 'IPv4 or IPv6 only; both when empty'],
  ['iptables-variant', 'string', 'auto', '', 'nft, legacy, or auto: the one that holds the rules of this node'],
  [
    'service-cluster-ip-range',
    'list',
    '10.96.0.0/12,fd00:10:96::/108',
    '',
    'where Services in manifests get their addresses from',
  ],
  ['service-node-port-range', 'string', '30000-32767', '', 'where Services in manifests get their node ports from'],
  ['namespace', 'string', 'default', '', 'namespace of manifests that name none'],
  ['nfacct', 'bool', 'false', '', "write the rules that feed kube-proxy's two packet counters"],
]).map((flag) => (flag.name === 'namespace' ? { ...flag, short: 'n' } : flag));

const bySettings: readonly Flag[] = [
  ...rows('Configuration', {}, [
    ['feature-gates', 'gates', '', 'featureGates', 'name=true or name=false, with commas'],
    [
      'oom-score-adj',
      'int32',
      '-999',
      'oomScoreAdj',
      'how willingly the kernel ends this process when memory is short',
    ],
  ]),
  ...rows('Traffic', {}, [
    [
      'bind-address',
      'ip',
      '0.0.0.0',
      'bindAddress',
      "this node's primary address, when it is not the Node's; nothing is bound to it",
    ],
    [
      'iptables-masquerade-bit',
      'int32',
      '14',
      'iptables.masqueradeBit',
      'bit of the packet mark for packets to masquerade, in iptables mode',
    ],
    [
      'masquerade-all',
      'bool',
      'false',
      'iptables.masqueradeAll nftables.masqueradeAll',
      'masquerade all traffic to Service addresses',
    ],
    [
      'iptables-localhost-nodeports',
      'bool',
      'true',
      'iptables.localhostNodePorts',
      'node ports answer on 127.0.0.1 too (iptables mode)',
    ],
    [
      'detect-local-mode',
      'string',
      '',
      'detectLocalMode',
      'how traffic of local pods is told: ClusterCIDR (also when empty), NodeCIDR, BridgeInterface or InterfaceNamePrefix',
    ],
    ['cluster-cidr', 'string', '', 'clusterCIDR', 'addresses of pods; for both families two with a comma'],
    ['pod-bridge-interface', 'string', '', 'detectLocal.bridgeInterface', 'bridge of local pods, for BridgeInterface'],
    [
      'pod-interface-name-prefix',
      'string',
      '',
      'detectLocal.interfaceNamePrefix',
      'how the names of interfaces of local pods begin, for InterfaceNamePrefix',
    ],
    [
      'nodeport-addresses',
      'list',
      '[]',
      'nodePortAddresses',
      "CIDRs of this node's addresses that accept node ports, or primary; all when empty (nftables mode: primary)",
    ],
    [
      'conntrack-max-per-core',
      'int32',
      '32768',
      'conntrack.maxPerCore',
      'connections to track per CPU core; 0 leaves the limit as it is',
    ],
    ['conntrack-min', 'int32', '131072', 'conntrack.min', 'connections to track at least'],
    [
      'conntrack-tcp-timeout-established',
      'duration',
      '24h0m0s',
      'conntrack.tcpEstablishedTimeout',
      'how long an idle TCP connection is tracked; 0 leaves it as it is',
    ],
    [
      'conntrack-tcp-timeout-close-wait',
      'duration',
      '1h0m0s',
      'conntrack.tcpCloseWaitTimeout',
      'how long a TCP connection in CLOSE_WAIT is tracked; 0 leaves it as it is',
    ],
    ['conntrack-tcp-be-liberal', 'bool', 'false', 'conntrack.tcpBeLiberal', 'accept TCP packets outside their window'],
    [
      'conntrack-udp-timeout',
      'duration',
      '0s',
      'conntrack.udpTimeout',
      'how long UDP without answer is tracked; 0 leaves it as it is',
    ],
    [
      'conntrack-udp-timeout-stream',
      'duration',
      '0s',
      'conntrack.udpStreamTimeout',
      'how long UDP with answers is tracked; 0 leaves it as it is',
    ],
  ]),
  ...rows('Synchronisation', {}, [
    [
      'iptables-sync-period',
      'duration',
      '30s',
      'iptables.syncPeriod nftables.syncPeriod',
      'how soon a failed sync is tried again, in both modes',
    ],
    [
      'iptables-min-sync-period',
      'duration',
      '1s',
      'iptables.minSyncPeriod nftables.minSyncPeriod',
      'how long to wait between two syncs at least, in both modes',
    ],
  ]),
  ...rows('Servers', {}, [
    ['healthz-bind-address', 'ip:port', '0.0.0.0:10256', 'healthzBindAddress', 'where /healthz is served'],
    ['metrics-bind-address', 'ip:port', '127.0.0.1:10249', 'metricsBindAddress', 'where /metrics is served'],
    ['bind-address-hard-fail', 'bool', 'false', 'bindAddressHardFail', 'end when an address cannot be listened on'],
    ['healthz-port', 'int32', '10256', '', 'deprecated; 0 turns /healthz off'],
    ['metrics-port', 'int32', '10249', '', 'deprecated; for a metrics address without port'],
  ]),
];

const idle: readonly Flag[] = [
  ...rows('Accepted without effect', { winsOverFile: true }, [
    ['vmodule', 'vmodule', '', 'logging.vmodule', 'has no effect: -v counts for all files'],
    ['log-flush-frequency', 'duration', '5s', 'logging.flushFrequency', 'has no effect: log lines do not wait'],
    ['log-text-split-stream', 'bool', 'false', 'logging.options.text.splitStream', 'has no effect'],
    ['log-text-info-buffer-size', 'quantity', '0', 'logging.options.text.infoBufferSize', 'has no effect'],
    ['log-json-split-stream', 'bool', 'false', 'logging.options.json.splitStream', 'has no effect'],
    ['log-json-info-buffer-size', 'quantity', '0', 'logging.options.json.infoBufferSize', 'has no effect'],
  ]),
  ...rows('Accepted without effect', {}, [
    [
      'kube-api-content-type',
      'string',
      'application/vnd.kubernetes.protobuf',
      'clientConnection.contentType',
      'has no effect: the API server is spoken to in JSON',
    ],
    ['kube-api-qps', 'float', '5', 'clientConnection.qps', 'has no effect: the pace is fixed, and slower'],
    ['kube-api-burst', 'int32', '10', 'clientConnection.burst', 'has no effect: the pace is fixed'],
    [
      'config-sync-period',
      'duration',
      '15m0s',
      'configSyncPeriod',
      'has no effect: what did not change is not looked at again',
    ],
    ['profiling', 'bool', 'false', 'enableProfiling', 'has no effect: no profiles are served'],
    [
      'show-hidden-metrics-for-version',
      'string',
      '',
      'showHiddenMetricsForVersion',
      'has no effect: no metrics are hidden',
    ],
    ['machine-id-file', 'string', '/etc/machine-id,/var/lib/dbus/machine-id', '', 'has no effect'],
    ['boot-id-file', 'string', '/proc/sys/kernel/random/boot_id', '', 'has no effect'],
    ['ipvs-sync-period', 'duration', '30s', 'ipvs.syncPeriod', 'has no effect'],
    ['ipvs-min-sync-period', 'duration', '1s', 'ipvs.minSyncPeriod', 'has no effect'],
    ['ipvs-scheduler', 'string', '', 'ipvs.scheduler', 'has no effect'],
    ['ipvs-exclude-cidrs', 'list', '[]', 'ipvs.excludeCIDRs', 'has no effect'],
    ['ipvs-strict-arp', 'bool', 'false', 'ipvs.strictARP', 'has no effect'],
    ['ipvs-tcp-timeout', 'duration', '0s', 'ipvs.tcpTimeout', 'has no effect'],
    ['ipvs-tcpfin-timeout', 'duration', '0s', 'ipvs.tcpFinTimeout', 'has no effect'],
    ['ipvs-udp-timeout', 'duration', '0s', 'ipvs.udpTimeout', 'has no effect'],
  ]),
];

/** Every flag about what the proxy is to do: kube-proxy's, and our own. Flags of single commands are not among them. */
export const flags: readonly Flag[] = [...winning, ...ours, ...bySettings, ...idle];

function rows(
  group: FlagGroup,
  { winsOverFile = false, isOurs = false }: Partial<Pick<Flag, 'winsOverFile' | 'isOurs'>>,
  table: readonly Row[],
): Flag[] {
  return table.map(([name, type, initial, fields, help]) => ({
    name,
    // The one-letter flag kube-proxy has.
    ...(name === 'v' && { short: 'v' }),
    type,
    default: initial,
    help,
    group,
    fields: fields === '' ? [] : fields.split(' '),
    winsOverFile,
    isOurs,
  }));
}

/** The key of a flag in `FlagValues`: `proxyMode` for `proxy-mode`. */
export function attributeName(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * The command line in one spelling, for a parser that knows only that: `--proxy_mode` becomes `--proxy-mode`, a
 * switch given bare becomes `--masquerade-all=true` (so that it never takes the next word for its value), and
 * `-v=2` becomes `--v=2`. Nothing after a lone `--` is touched.
 */
export function normalizeArguments(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  const options = end < 0 ? argv : argv.slice(0, end);
  return [...options.map(normalizeArgument), ...argv.slice(options.length)];
}

const switchNames: ReadonlySet<string> = new Set(flags.filter(({ type }) => type === 'bool').map(({ name }) => name));

function normalizeArgument(argument: string): string {
  if (/^-v(?:=|[0-9])/.test(argument)) return `--v=${argument.replace(/^-v=?/, '')}`;
  if (!argument.startsWith('--')) return argument;
  // There is but one form of our version.
  if (argument === '--version=raw' || argument === '--version=true') return '--version';
  const equals = argument.indexOf('=');
  const name = (equals < 0 ? argument : argument.slice(0, equals)).replaceAll('_', '-');
  if (equals >= 0) return name + argument.slice(equals);
  return switchNames.has(name.slice(2)) ? `${name}=true` : name;
}

/** `name: value` of all kube-proxy's flags, sorted by name, as `/flagz` shows them. */
export function flagLines(values: FlagValues): string[] {
  const lines = flags
    .filter(({ isOurs }) => !isOurs)
    .map(({ name, type, default: initial }) => {
      const reading = readFlag(type, values[attributeName(name)]);
      return `${name}: ${reading.kind === 'value' ? printFlag(reading.value) : initial}`;
    });
  return [...lines, 'help: false', 'version: false'].toSorted(compareNames);
}

function compareNames(left: string, right: string): number {
  const [a = '', b = ''] = [left, right].map((line) => line.slice(0, line.indexOf(':')));
  return a < b ? -1 : 1;
}
