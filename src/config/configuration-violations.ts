import { addressKind, parseAddress, parseCidr } from '../source/address.ts';
import { parseBindAddress } from './bind-address.ts';
import { formatDuration } from './duration.ts';
import { effectiveGates, lockedGates } from './feature-gate.ts';
import { modeSection } from './kube-proxy-configuration.ts';
import type { KubeProxyConfiguration } from './kube-proxy-configuration.ts';

/** A value that is not allowed: which field, and what was seen and expected. */
export interface Violation {
  /** Path of the field as the file spells it, for instance `iptables.masqueradeBit`. */
  readonly field: string;
  readonly message: string;
}

/** The version of Kubernetes whose kube-proxy we stand in for. */
const previousMinor = '1.35';
const detectLocalModes = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'];
/** IFNAMSIZ less the closing NUL. */
const maxInterfaceName = 15;

/** All that is not allowed in a configuration whose defaults are filled in; empty when it can be used. */
export function violationsOf(configuration: KubeProxyConfiguration): readonly Violation[] {
  return checks.flatMap((check) => check(configuration));
}

type Check = (configuration: KubeProxyConfiguration) => readonly Violation[];

const checks: readonly Check[] = [
  featureGates,
  clientBurst,
  logging,
  addresses,
  hiddenMetrics,
  mode,
  masqueradeBits,
  periods,
  localDetection,
  nodePortAddresses,
  oomScore,
  conntrack,
];

function featureGates(configuration: KubeProxyConfiguration): Violation[] {
  return lockedGates(configuration.featureGates).map((name) => ({
    field: `featureGates.${name}`,
    message: `${name} is locked and cannot be changed; leave it out`,
  }));
}

function clientBurst({ clientConnection: { burst } }: KubeProxyConfiguration): Violation[] {
  return burst >= 0 ? [] : [violation('clientConnection.burst', burst, 'a number that is not negative')];
}

function logging({ logging: given, featureGates: gates }: KubeProxyConfiguration): Violation[] {
  const { format, flushFrequency, verbosity, vmodule, options } = given;
  const allowsAlpha = effectiveGates(gates).get('LoggingAlphaOptions') === true;
  const buffering = (['text', 'json'] as const).flatMap((name) => {
    const { splitStream, infoBufferSize } = options[name];
    const field = `logging.options.${name}`;
    const needed = `nothing but the default without the feature gate LoggingAlphaOptions`;
    return allowsAlpha
      ? []
      : [
          ...when(splitStream, violation(`${field}.splitStream`, splitStream, needed)),
          ...when(Number(infoBufferSize) !== 0, violation(`${field}.infoBufferSize`, infoBufferSize, needed)),
        ];
  });
  return [
    ...when(format !== 'text' && format !== 'json', violation('logging.format', format, 'text or json')),
    ...when(
      flushFrequency <= 0n,
      violation('logging.flushFrequency', formatDuration(flushFrequency), 'a duration longer than 0s'),
    ),
    ...when(verbosity > 2 ** 31 - 1, violation('logging.verbosity', verbosity, 'at most 2147483647')),
    ...when(vmodule.length > 0 && format !== 'text', {
      field: 'logging.vmodule',
      message: 'it works with the format text only',
    }),
    ...vmodule.flatMap(({ filePattern, verbosity: level }, index) => [
      ...when(
        filePattern === '' || /[=,]/.test(filePattern),
        violation(`logging.vmodule[${index}].filePattern`, filePattern, 'a file name pattern without = and ,'),
      ),
      ...when(level > 2 ** 31 - 1, violation(`logging.vmodule[${index}].verbosity`, level, 'at most 2147483647')),
    ]),
    ...buffering,
  ];
}

function addresses(configuration: KubeProxyConfiguration): Violation[] {
  const { bindAddress, healthzBindAddress, metricsBindAddress } = configuration;
  const expected = 'IP:port with a port from 1 to 65535, for instance 0.0.0.0:10256 or [::]:10256';
  return [
    ...when(
      parseAddress(bindAddress) === undefined,
      violation('bindAddress', bindAddress, 'an IP address without brackets and port'),
    ),
    ...when(
      healthzBindAddress !== '' && parseBindAddress(healthzBindAddress) === undefined,
      violation('healthzBindAddress', healthzBindAddress, expected),
    ),
    ...when(
      parseBindAddress(metricsBindAddress) === undefined,
      violation('metricsBindAddress', metricsBindAddress, expected),
    ),
  ];
}

function hiddenMetrics({ showHiddenMetricsForVersion: version }: KubeProxyConfiguration): Violation[] {
  return when(
    version !== '' && version !== previousMinor,
    violation('showHiddenMetricsForVersion', version, `nothing or ${previousMinor}, the previous minor version`),
  );
}

function mode({ mode: given }: KubeProxyConfiguration): Violation[] {
  if (given === 'ipvs') {
    const message = 'got "ipvs", which Portwright does not have; use iptables or nftables (nftables scales best)';
    return [{ field: 'mode', message }];
  }
  return when(
    !['', 'iptables', 'nftables'].includes(given),
    violation('mode', given, 'iptables or nftables (iptables when left out)'),
  );
}

function masqueradeBits(configuration: KubeProxyConfiguration): Violation[] {
  // kube-proxy checks the bit of iptables in every mode, that of nftables in its own.
  const sections = configuration.mode === 'nftables' ? (['iptables', 'nftables'] as const) : (['iptables'] as const);
  return sections.flatMap((section) => {
    const bit = configuration[section].masqueradeBit;
    return when(bit < 0 || bit > 31, violation(`${section}.masqueradeBit`, bit, 'a number from 0 to 31'));
  });
}

function periods(configuration: KubeProxyConfiguration): Violation[] {
  const section = modeSection(configuration);
  const { syncPeriod, minSyncPeriod } = configuration[section];
  const { configSyncPeriod } = configuration;
  const longer = 'a duration longer than 0s';
  return [
    ...when(configSyncPeriod <= 0n, violation('configSyncPeriod', formatDuration(configSyncPeriod), longer)),
    ...when(syncPeriod <= 0n, violation(`${section}.syncPeriod`, formatDuration(syncPeriod), longer)),
    ...when(
      minSyncPeriod < 0n,
      violation(`${section}.minSyncPeriod`, formatDuration(minSyncPeriod), 'a duration that is not negative'),
    ),
    ...when(
      minSyncPeriod > syncPeriod,
      violation(
        `${section}.syncPeriod`,
        formatDuration(syncPeriod),
        `at least ${formatDuration(minSyncPeriod)}, the ${section}.minSyncPeriod`,
      ),
    ),
  ];
}

function localDetection({ detectLocalMode, detectLocal, clusterCIDR }: KubeProxyConfiguration): Violation[] {
  switch (detectLocalMode) {
    case '':
    case 'ClusterCIDR':
      return clusterCIDR === '' ? [] : clusterCidrs(clusterCIDR);
    case 'NodeCIDR':
      return [];
    case 'BridgeInterface':
      return interfaceName('detectLocal.bridgeInterface', detectLocal.bridgeInterface, maxInterfaceName);
    case 'InterfaceNamePrefix':
      // One letter is left for what follows the prefix.
      return interfaceName('detectLocal.interfaceNamePrefix', detectLocal.interfaceNamePrefix, maxInterfaceName - 1);
    default:
      return [violation('detectLocalMode', detectLocalMode, `one of ${detectLocalModes.join(', ')}`)];
  }
}

function clusterCidrs(clusterCIDR: string): Violation[] {
  const parts = clusterCIDR.split(',');
  const cidrs = parts.map(parseCidr);
  const wrong = parts.filter((_, index) => cidrs[index] === undefined);
  if (wrong.length > 0) {
    return wrong.map((part) => violation('clusterCIDR', part, 'a CIDR such as 10.244.0.0/16 or fd00:10:244::/56'));
  }
  const families = new Set(cidrs.map((cidr) => cidr?.family));
  return when(
    families.size !== cidrs.length,
    violation('clusterCIDR', clusterCIDR, 'one CIDR, or two with a comma between, one IPv4 and one IPv6'),
  );
}

/** The name becomes part of the rules: what the kernel or the tools cannot take would block all of them. */
function interfaceName(field: string, name: string, maxLength: number): Violation[] {
  return when(
    !/^[A-Za-z0-9_.@-]+$/.test(name) || name.length > maxLength,
    violation(field, name, `1 to ${maxLength} letters, digits or _ . @ - (needed with this detectLocalMode)`),
  );
}

function nodePortAddresses({ nodePortAddresses: given }: KubeProxyConfiguration): Violation[] {
  if (given.includes('primary')) {
    return when(given.length > 1, violation('nodePortAddresses', given.join(','), 'primary alone, or only CIDRs'));
  }
  return given.flatMap((text, index) =>
    when(
      parseCidr(text) === undefined,
      violation(`nodePortAddresses[${index}]`, text, `a CIDR such as ${asCidr(text)}, or the single word primary`),
    ),
  );
}

function asCidr(text: string): string {
  const address = parseAddress(text);
  if (address === undefined || addressKind(address.text) === 'unspecified') return '192.168.0.0/16';
  return `${address.text}/${address.family === 'IPv4' ? 32 : 128}`;
}

function oomScore({ oomScoreAdj }: KubeProxyConfiguration): Violation[] {
  return when(
    oomScoreAdj < -1000 || oomScoreAdj > 1000,
    violation('oomScoreAdj', oomScoreAdj, 'a number from -1000 to 1000'),
  );
}

function conntrack({ conntrack: given }: KubeProxyConfiguration): Violation[] {
  const counts = (['maxPerCore', 'min'] as const).flatMap((name) =>
    when(
      given[name] < 0,
      violation(`conntrack.${name}`, given[name], 'a number that is not negative (0: leave as it is)'),
    ),
  );
  const timeouts = (
    ['tcpEstablishedTimeout', 'tcpCloseWaitTimeout', 'udpTimeout', 'udpStreamTimeout'] as const
  ).flatMap((name) =>
    when(
      given[name] < 0n,
      violation(
        `conntrack.${name}`,
        formatDuration(given[name]),
        'a duration that is not negative (0s: leave as it is)',
      ),
    ),
  );
  return [...counts, ...timeouts];
}

function violation(field: string, seen: unknown, expected: string): Violation {
  return { field, message: `got ${JSON.stringify(seen)}, expected ${expected}` };
}

function when(condition: boolean, found: Violation): Violation[] {
  return condition ? [found] : [];
}
