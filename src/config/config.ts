import { parseAddress, parseCidr } from '../source/address.ts';
import { parseBindAddress } from './bind-address.ts';
import type { BindAddress } from './bind-address.ts';
import { ConfigError } from './config-error.ts';
import { joinSources } from './configuration-source.ts';
import type { ConfigurationSource } from './configuration-source.ts';
import { violationsOf } from './configuration-violations.ts';
import { milliseconds } from './duration.ts';
import { effectiveGates, idleGateWarnings } from './feature-gate.ts';
import { readFlag } from './flag-type.ts';
import type { FlagValues } from './flags.ts';
import {
  effectiveConfiguration,
  foreignFields,
  modeSection,
  paceFields,
  unservedFields,
} from './kube-proxy-configuration.ts';
import type { KubeProxyConfiguration } from './kube-proxy-configuration.ts';
import { readOwnFlags } from './own-flags.ts';
import type { OwnFlags } from './own-flags.ts';

export type ProxyMode = 'iptables' | 'nftables';

/** How traffic of pods on this node is to be told from other traffic. */
export type DetectLocal =
  /** CIDRs canonical, at most one of a family. */
  | { readonly mode: 'ClusterCIDR'; readonly clusterCIDRs: readonly string[] }
  | { readonly mode: 'NodeCIDR' }
  | { readonly mode: 'BridgeInterface'; readonly bridge: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string };

/** All that was configured, valid; what depends on the node or the host is not decided yet (see node.ts). */
export interface Config extends OwnFlags {
  readonly mode: ProxyMode;
  /** The file of `--config`, and what it said when it was read. */
  readonly configFile?: { readonly path: string; readonly text: string };
  readonly writeConfigTo?: string;
  readonly cleanup: boolean;
  readonly initOnly: boolean;
  /** Trimmed, in lower case. */
  readonly nodeNameOverride?: string;
  /** Canonical. Unspecified: the Node's address counts. */
  readonly bindAddress: string;
  /** Absent: not served. */
  readonly healthzBindAddress?: BindAddress;
  readonly metricsBindAddress: BindAddress;
  readonly bindAddressHardFail: boolean;
  readonly syncPeriodMs: number;
  readonly minSyncPeriodMs: number;
  /** 0 to 31. */
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly localhostNodePorts: boolean;
  readonly detectLocal: DetectLocal;
  /** Canonical CIDRs, or the single word `primary`; empty: all addresses. */
  readonly nodePortAddresses: readonly string[];
  /** 0 leaves the kernel's value as it is. */
  readonly conntrack: {
    readonly maxPerCore: number;
    readonly min: number;
    readonly tcpEstablishedTimeoutMs: number;
    readonly tcpCloseWaitTimeoutMs: number;
    readonly udpTimeoutMs: number;
    readonly udpStreamTimeoutMs: number;
    readonly tcpBeLiberal: boolean;
  };
  readonly oomScoreAdj: number;
  readonly kubeconfig?: string;
  readonly master?: string;
  readonly logging: {
    readonly format: 'text' | 'json';
    readonly verbosity: number;
  };
  /** Every known gate with what it is. */
  readonly featureGates: ReadonlyMap<string, boolean>;
  /** The same as kube-proxy would show it, for `/configz` and `--write-config-to`. */
  readonly configuration: KubeProxyConfiguration;
}

/**
 * Turns flags (as commander gives them, see `attributeName`) and the file that `--config` names into a
 * configuration. `readFile` may throw: the message becomes one of the problems.
 *
 * @throws {ConfigError} that lists all problems.
 */
export async function parseConfig(
  values: FlagValues,
  readFile: (path: string) => string,
): Promise<{ readonly config: Config; readonly warnings: readonly string[] }> {
  const path = readFlag('string', values['config']);
  const given = path.kind === 'value' && path.value !== '' ? readConfigFile(String(path.value), readFile) : undefined;
  const source = joinSources(values, given && (await decodeFile(given)));
  const own = readOwnFlags(source.given);
  const configuration = effectiveConfiguration(source.configuration);
  const problems = [
    ...source.problems,
    ...own.problems,
    ...blankHostname(source),
    ...violationsOf(configuration).map(({ field, message }) => located(source, field, message)),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
  const config = {
    ...own.flags,
    ...fromConfiguration(configuration),
    ...fromFlags(source.given),
    ...(given && { configFile: given }),
  };
  return { config, warnings: [...source.warnings, ...oddities(source)] };
}

function readConfigFile(path: string, readFile: (path: string) => string): NonNullable<Config['configFile']> {
  try {
    return { path, text: readFile(path) };
  } catch (error) {
    throw new ConfigError([`--config: cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/** The YAML parser is only loaded for those who have a file: commands start fast. */
async function decodeFile({ path, text }: NonNullable<Config['configFile']>) {
  const { decodeConfigurationFile } = await import('./configuration-file.ts');
  return decodeConfigurationFile(path, text);
}

function blankHostname(source: ConfigurationSource): string[] {
  const { hostnameOverride } = source.configuration;
  if (hostnameOverride === '' || hostnameOverride.trim() !== '') return [];
  return [located(source, 'hostnameOverride', 'got only blanks, expected the name of a node')];
}

/** `--flag: message`, or `file:line: field: message`. */
function located(source: ConfigurationSource, field: string, message: string): string {
  const where = source.locate(field);
  return where.startsWith('--') ? `${where}: ${message}` : `${where}: ${field}: ${message}`;
}

function fromConfiguration(configuration: KubeProxyConfiguration) {
  const { clientConnection, logging, conntrack, featureGates } = configuration;
  const section = configuration[modeSection(configuration)];
  const healthz = parseBindAddress(configuration.healthzBindAddress);
  const hostname = configuration.hostnameOverride.trim().toLowerCase();
  return {
    mode: modeSection(configuration),
    ...(hostname !== '' && { nodeNameOverride: hostname }),
    bindAddress: parseAddress(configuration.bindAddress)?.text ?? configuration.bindAddress,
    ...(healthz && { healthzBindAddress: healthz }),
    metricsBindAddress: parsedBindAddress(configuration.metricsBindAddress),
    bindAddressHardFail: configuration.bindAddressHardFail,
    syncPeriodMs: milliseconds(section.syncPeriod),
    minSyncPeriodMs: milliseconds(section.minSyncPeriod),
    masqueradeBit: section.masqueradeBit,
    masqueradeAll: section.masqueradeAll,
    localhostNodePorts: configuration.iptables.localhostNodePorts,
    detectLocal: detectLocalOf(configuration),
    nodePortAddresses: configuration.nodePortAddresses.map((text) => parseCidr(text)?.text ?? text),
    conntrack: {
      maxPerCore: conntrack.maxPerCore,
      min: conntrack.min,
      tcpEstablishedTimeoutMs: milliseconds(conntrack.tcpEstablishedTimeout),
      tcpCloseWaitTimeoutMs: milliseconds(conntrack.tcpCloseWaitTimeout),
      udpTimeoutMs: milliseconds(conntrack.udpTimeout),
      udpStreamTimeoutMs: milliseconds(conntrack.udpStreamTimeout),
      tcpBeLiberal: conntrack.tcpBeLiberal,
    },
    oomScoreAdj: configuration.oomScoreAdj,
    ...(clientConnection.kubeconfig !== '' && { kubeconfig: clientConnection.kubeconfig }),
    logging: {
      format: logging.format === 'json' ? ('json' as const) : ('text' as const),
      verbosity: logging.verbosity,
    },
    featureGates: effectiveGates(featureGates),
    configuration,
  };
}

/** Only for what was validated. */
function parsedBindAddress(text: string): BindAddress {
  const parsed = parseBindAddress(text);
  if (parsed === undefined) throw new Error(`unreachable: bind address ${text} was validated`);
  return parsed;
}

function detectLocalOf({ detectLocalMode, detectLocal, clusterCIDR }: KubeProxyConfiguration): DetectLocal {
  switch (detectLocalMode) {
    case 'NodeCIDR':
      return { mode: 'NodeCIDR' };
    case 'BridgeInterface':
      return { mode: 'BridgeInterface', bridge: detectLocal.bridgeInterface };
    case 'InterfaceNamePrefix':
      return { mode: 'InterfaceNamePrefix', prefix: detectLocal.interfaceNamePrefix };
    default:
      return {
        mode: 'ClusterCIDR',
        clusterCIDRs: clusterCIDR.split(',').flatMap((text) => parseCidr(text)?.text ?? []),
      };
  }
}

function fromFlags(given: ReadonlyMap<string, unknown>) {
  const textOf = (name: string): string => (given.get(name) ?? '') as string;
  return {
    ...(textOf('write-config-to') !== '' && { writeConfigTo: textOf('write-config-to') }),
    ...(textOf('master') !== '' && { master: textOf('master') }),
    cleanup: given.get('cleanup') === true,
    initOnly: given.get('init-only') === true,
  };
}

/** What was given but has no effect. */
function oddities({ configuration, given }: ConfigurationSource): string[] {
  const foreign = foreignFields(configuration);
  const unserved = unservedFields(configuration);
  const pace = paceFields(configuration);
  const isNftables = configuration.mode === 'nftables';
  return [
    ...idleGateWarnings(configuration.featureGates),
    ...(foreign.length === 0
      ? []
      : [`${foreign.join(', ')}: no effect; Portwright has the modes iptables and nftables, on Linux`]),
    ...(unserved.length === 0
      ? []
      : [
          `${unserved.join(', ')}: no effect; Portwright logs by -v alone, to the standard error, and serves no profiles`,
        ]),
    ...(pace.length === 0
      ? []
      : [
          `${pace.join(', ')}: no effect; Portwright asks the API server for each kind of object once a second at most, and posts an Event each five seconds after the first 25`,
        ]),
    ...(isNftables && given.has('iptables-masquerade-bit')
      ? ['--iptables-masquerade-bit: no effect in nftables mode; set nftables.masqueradeBit in a file']
      : []),
  ];
}
