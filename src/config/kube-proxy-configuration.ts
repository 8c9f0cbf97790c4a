import type { Duration } from './duration.ts';
import {
  bool,
  duration,
  durationOrNanoseconds,
  float,
  group,
  int32,
  isObject,
  optionalBool,
  optionalDuration,
  quantity,
  switches,
  text,
  texts,
  uint32,
  zeroIsAbsent,
} from './field.ts';
import type { Field, Group, Leaf } from './field.ts';

/** `kubeproxy.config.k8s.io/v1alpha1` `KubeProxyConfiguration`, every field present; durations in nanoseconds. */
export interface KubeProxyConfiguration {
  readonly featureGates: ReadonlyMap<string, boolean>;
  readonly clientConnection: {
    readonly kubeconfig: string;
    readonly acceptContentTypes: string;
    readonly contentType: string;
    readonly qps: number;
    readonly burst: number;
  };
  readonly logging: {
    readonly format: string;
    readonly flushFrequency: Duration;
    readonly verbosity: number;
    readonly vmodule: readonly ModuleVerbosity[];
    readonly options: {
      readonly text: LogBuffering;
      readonly json: LogBuffering;
    };
  };
  readonly hostnameOverride: string;
  readonly bindAddress: string;
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
  readonly bindAddressHardFail: boolean;
  readonly enableProfiling: boolean;
  readonly showHiddenMetricsForVersion: string;
  readonly mode: string;
  readonly iptables: ModeConfiguration & { readonly localhostNodePorts: boolean };
  readonly ipvs: {
    readonly syncPeriod: Duration;
    readonly minSyncPeriod: Duration;
    readonly scheduler: string;
    readonly excludeCIDRs: readonly string[];
    readonly strictARP: boolean;
    readonly tcpTimeout: Duration;
    readonly tcpFinTimeout: Duration;
    readonly udpTimeout: Duration;
  };
  readonly nftables: ModeConfiguration;
  readonly winkernel: {
    readonly networkName: string;
    readonly sourceVip: string;
    readonly enableDSR: boolean;
    readonly rootHnsEndpointName: string;
    readonly forwardHealthCheckVip: boolean;
  };
  readonly detectLocalMode: string;
  readonly detectLocal: { readonly bridgeInterface: string; readonly interfaceNamePrefix: string };
  readonly clusterCIDR: string;
  readonly nodePortAddresses: readonly string[];
  readonly oomScoreAdj: number;
  readonly conntrack: {
    readonly maxPerCore: number;
    readonly min: number;
    readonly tcpEstablishedTimeout: Duration;
    readonly tcpCloseWaitTimeout: Duration;
    readonly tcpBeLiberal: boolean;
    readonly udpTimeout: Duration;
    readonly udpStreamTimeout: Duration;
  };
  readonly configSyncPeriod: Duration;
  readonly portRange: string;
  readonly windowsRunAsService: boolean;
}

/** What both of our modes have. */
export interface ModeConfiguration {
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly syncPeriod: Duration;
  readonly minSyncPeriod: Duration;
}

export interface ModuleVerbosity {
  readonly filePattern: string;
  readonly verbosity: number;
}

interface LogBuffering {
  readonly splitStream: boolean;
  readonly infoBufferSize: string;
}

export const apiVersion = 'kubeproxy.config.k8s.io/v1alpha1';
export const kind = 'KubeProxyConfiguration';

const logBuffering = group<LogBuffering>({ splitStream: optionalBool(), infoBufferSize: quantity() });

/** Every field with its type and default, in the order in which kube-proxy writes them. */
export const configurationFields: Group<KubeProxyConfiguration> = group<KubeProxyConfiguration>({
  featureGates: switches(),
  clientConnection: group<KubeProxyConfiguration['clientConnection']>({
    kubeconfig: text(),
    acceptContentTypes: text(),
    contentType: text('application/vnd.kubernetes.protobuf'),
    qps: zeroIsAbsent(float(5)),
    burst: zeroIsAbsent(int32(10)),
  }),
  logging: group<KubeProxyConfiguration['logging']>({
    format: text('text'),
    flushFrequency: zeroIsAbsent(durationOrNanoseconds('5s')),
    verbosity: uint32(0),
    vmodule: moduleVerbosities(),
    options: group<KubeProxyConfiguration['logging']['options']>({ text: logBuffering, json: logBuffering }),
  }),
  hostnameOverride: text(),
  bindAddress: text('0.0.0.0'),
  healthzBindAddress: text(),
  metricsBindAddress: text(),
  bindAddressHardFail: bool(),
  enableProfiling: bool(),
  showHiddenMetricsForVersion: text(),
  mode: text(),
  iptables: group<KubeProxyConfiguration['iptables']>({
    masqueradeBit: int32(14),
    masqueradeAll: bool(),
    localhostNodePorts: bool(true),
    syncPeriod: zeroIsAbsent(duration('30s')),
    minSyncPeriod: zeroIsAbsent(duration('1s')),
  }),
  ipvs: group<KubeProxyConfiguration['ipvs']>({
    syncPeriod: zeroIsAbsent(duration('30s')),
    minSyncPeriod: duration(),
    scheduler: text(),
    excludeCIDRs: texts(),
    strictARP: bool(),
    tcpTimeout: duration(),
    tcpFinTimeout: duration(),
    udpTimeout: duration(),
  }),
  nftables: group<ModeConfiguration>({
    masqueradeBit: int32(14),
    masqueradeAll: bool(),
    syncPeriod: zeroIsAbsent(duration('30s')),
    minSyncPeriod: zeroIsAbsent(duration('1s')),
  }),
  winkernel: group<KubeProxyConfiguration['winkernel']>({
    networkName: text(),
    sourceVip: text(),
    enableDSR: bool(),
    rootHnsEndpointName: text(),
    forwardHealthCheckVip: bool(),
  }),
  detectLocalMode: text(),
  detectLocal: group<KubeProxyConfiguration['detectLocal']>({ bridgeInterface: text(), interfaceNamePrefix: text() }),
  clusterCIDR: text(),
  nodePortAddresses: texts(),
  oomScoreAdj: int32(-999),
  conntrack: group<KubeProxyConfiguration['conntrack']>({
    maxPerCore: int32(32768),
    min: int32(131072),
    tcpEstablishedTimeout: optionalDuration('24h'),
    tcpCloseWaitTimeout: optionalDuration('1h'),
    tcpBeLiberal: bool(),
    udpTimeout: duration(),
    udpStreamTimeout: duration(),
  }),
  configSyncPeriod: zeroIsAbsent(duration('15m')),
  portRange: text(),
  windowsRunAsService: optionalBool(),
});

/** A list of file patterns with a log level each; left out when empty. */
function moduleVerbosities(): Leaf<readonly ModuleVerbosity[]> {
  return {
    kind: 'leaf',
    expected: 'a list of objects with filePattern and verbosity',
    initial: [],
    read: (value) => {
      if (!Array.isArray(value)) return undefined;
      const modules = value.map(moduleVerbosity);
      return modules.every((module) => module !== undefined) ? modules : undefined;
    },
    write: (value) => (value.length === 0 ? undefined : value),
  };
}

function moduleVerbosity(value: unknown): ModuleVerbosity | undefined {
  if (!isObject(value)) return undefined;
  const filePattern = text().read(value['filePattern'] ?? '');
  const verbosity = uint32(0).read(value['verbosity'] ?? 0);
  return filePattern === undefined || verbosity === undefined ? undefined : { filePattern, verbosity };
}

/** The configuration as a plain JSON object, fields in kube-proxy's order: for `/configz` and for a file. */
export function toJson(configuration: KubeProxyConfiguration): Record<string, unknown> {
  return { kind, apiVersion, ...(write(configurationFields, configuration) as Record<string, unknown>) };
}

function write<T>(field: Field<T>, value: T): unknown {
  if (field.kind === 'leaf') return field.write(value);
  const fields = Object.entries(field.fields) as [keyof T, Field<unknown>][];
  const written = fields.map(([name, inner]) => [name, write(inner, value[name])] as const);
  return Object.fromEntries(written.filter(([, json]) => json !== undefined));
}

/** The section that rules the selected mode: whatever is not nftables is ruled by iptables. */
export function modeSection({ mode }: Pick<KubeProxyConfiguration, 'mode'>): 'iptables' | 'nftables' {
  return mode === 'nftables' ? 'nftables' : 'iptables';
}

/**
 * The configuration as kube-proxy works with it: mode, detection and node port addresses filled in, and in the
 * sections of the modes that are not selected no periods and no `masqueradeAll`.
 */
export function effectiveConfiguration(configuration: KubeProxyConfiguration): KubeProxyConfiguration {
  const mode = configuration.mode || 'iptables';
  const selected = modeSection(configuration);
  const asWritten = configuration.nodePortAddresses;
  return {
    ...configuration,
    mode,
    detectLocalMode: configuration.detectLocalMode || 'ClusterCIDR',
    nodePortAddresses: mode === 'nftables' && asWritten.length === 0 ? ['primary'] : asWritten,
    ipvs: { ...configuration.ipvs, syncPeriod: 0n, minSyncPeriod: 0n },
    iptables: { ...configuration.iptables, ...(selected !== 'iptables' && notSelected) },
    nftables: { ...configuration.nftables, ...(selected !== 'nftables' && notSelected) },
  };
}

const notSelected = { masqueradeAll: false, syncPeriod: 0n, minSyncPeriod: 0n };

/** Fields that were set to something, but mean nothing to a proxy that writes rules on Linux. */
export function foreignFields(configuration: KubeProxyConfiguration): string[] {
  const { ipvs, winkernel, portRange, windowsRunAsService } = configurationFields.fields;
  return [
    ...changedFields(ipvs, configuration.ipvs, 'ipvs'),
    ...changedFields(winkernel, configuration.winkernel, 'winkernel'),
    ...changedFields(portRange, configuration.portRange, 'portRange'),
    ...changedFields(windowsRunAsService, configuration.windowsRunAsService, 'windowsRunAsService'),
  ];
}

/** Fields that ask for another pace of requests to the API server: ours is fixed. */
export function paceFields({ clientConnection }: KubeProxyConfiguration): string[] {
  const changed = changedFields(configurationFields.fields.clientConnection, clientConnection, 'clientConnection');
  return changed.filter((path) => /\.(?:qps|burst)$/.test(path));
}

/** Fields that ask for what Portwright does not do: profiles, and logs by file or over two streams. */
export function unservedFields(configuration: KubeProxyConfiguration): string[] {
  const { enableProfiling, logging } = configurationFields.fields;
  return [
    ...changedFields(enableProfiling, configuration.enableProfiling, 'enableProfiling'),
    ...changedFields(logging, configuration.logging, 'logging').filter((path) => /\.(?:vmodule|options)\b/.test(path)),
  ];
}

function changedFields<T>(field: Field<T>, value: T, path: string): string[] {
  if (field.kind === 'leaf') {
    const isDefault = JSON.stringify(field.write(value)) === JSON.stringify(field.write(field.initial));
    return isDefault ? [] : [path];
  }
  const fields = Object.entries(field.fields) as [keyof T & string, Field<unknown>][];
  return fields.flatMap(([name, inner]) => changedFields(inner, value[name], `${path}.${name}`));
}
