import { parseAddress } from '../source/address.ts';
import { withPort } from './bind-address.ts';
import { decodeConfiguration } from './configuration-decoder.ts';
import type { DecodedFile } from './configuration-file.ts';
import { readFlag } from './flag-type.ts';
import { attributeName, flags } from './flags.ts';
import type { Flag, FlagValues } from './flags.ts';
import type { KubeProxyConfiguration, ModuleVerbosity } from './kube-proxy-configuration.ts';

/** What file and flags say together, defaults filled in, nothing validated yet but types. */
export interface ConfigurationSource {
  readonly configuration: KubeProxyConfiguration;
  /** Values of the flags that count, by name, of the type that `readFlag` gives. */
  readonly given: ReadonlyMap<string, unknown>;
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
  /** Where a field was set, for messages: `--cluster-cidr`, or file and line. */
  readonly locate: (field: string) => string;
}

const healthzPort = 10256;
const metricsPort = 10249;

/**
 * Joins the flags and the file, if there is one. As in kube-proxy a file makes most flags have no effect; unlike
 * there `--proxy-mode`, `--kubeconfig` and `--master` still win over it.
 */
export function joinSources(values: FlagValues, file: DecodedFile | undefined): ConfigurationSource {
  const readings = flags.map((flag) => ({ flag, reading: readFlag(flag.type, values[attributeName(flag.name)]) }));
  // As kube-proxy begins, and then what would be right.
  const problems = readings.flatMap(({ flag: { name, short }, reading }) => {
    if (reading.kind !== 'wrong') return [];
    const words = `${short === undefined ? '' : `-${short}, `}--${name}`;
    return [`invalid argument ${JSON.stringify(reading.seen)} for "${words}" flag: expected ${reading.expected}`];
  });
  const given = readings.flatMap(({ flag, reading }) =>
    reading.kind === 'value' ? [{ flag, value: reading.value }] : [],
  );
  const counting = given.filter(({ flag }) => file === undefined || flag.winsOverFile);
  const ignored = given.filter((entry) => !counting.includes(entry)).map(({ flag }) => `--${flag.name}`);
  const base = file === undefined ? withoutFile() : withFile(file.configuration);
  const configuration = counting.reduce((current, { flag, value }) => withFlag(current, flag, value), base);
  const byName = new Map(counting.map(({ flag, value }) => [flag.name, value]));
  return {
    configuration: file === undefined ? withDeprecatedPorts(configuration, byName) : configuration,
    given: byName,
    warnings: [
      ...(file?.warnings ?? []),
      ...(ignored.length === 0 ? [] : [`${ignored.join(', ')}: ignored, because --config is given`]),
    ],
    problems: [...problems, ...(file?.problems ?? [])],
    locate: (field) => flagOf(field, counting) ?? file?.locate(field) ?? flagOf(field, known) ?? field,
  };
}

const known = flags.map((flag) => ({ flag }));

/** The flag that sets a field or what it is part of. */
function flagOf(field: string, among: readonly { readonly flag: Flag }[]): string | undefined {
  const holds = (outer: string): boolean => field === outer || /^[.[]/.test(field.slice(outer.length));
  const found = among.find(({ flag }) => flag.fields.some((outer) => field.startsWith(outer) && holds(outer)));
  return found && `--${found.flag.name}`;
}

/** The defaults of the flags: the address of this node does not decide about the families of the servers. */
function withoutFile(): KubeProxyConfiguration {
  const ignore = (): void => undefined;
  return {
    ...decodeConfiguration({}, { warn: ignore, refuse: ignore }),
    healthzBindAddress: `0.0.0.0:${healthzPort}`,
    metricsBindAddress: `127.0.0.1:${metricsPort}`,
  };
}

/** In a file an empty address means the default for the family of `bindAddress`. */
function withFile(configuration: KubeProxyConfiguration): KubeProxyConfiguration {
  const isIPv4 = parseAddress(configuration.bindAddress)?.family === 'IPv4';
  const { healthzBindAddress, metricsBindAddress } = configuration;
  return {
    ...configuration,
    healthzBindAddress: withPort(healthzBindAddress || (isIPv4 ? '0.0.0.0' : '::'), healthzPort),
    metricsBindAddress: withPort(metricsBindAddress || (isIPv4 ? '127.0.0.1' : '::1'), metricsPort),
  };
}

function withFlag(configuration: KubeProxyConfiguration, flag: Flag, value: unknown): KubeProxyConfiguration {
  // Patterns of both count, the flag's first; an empty override is none.
  const merged =
    flag.name === 'vmodule' ? [...(value as readonly ModuleVerbosity[]), ...configuration.logging.vmodule] : value;
  if (flag.name === 'hostname-override' && value === '') return configuration;
  if (flag.winsOverFile && merged === '') return configuration;
  return flag.fields.reduce((current, field) => withField(current, field.split('.'), merged), configuration);
}

/** A copy with the value at the path; the flag table names only fields that exist, and values of their type. */
function withField<T extends object>(target: T, [name = '', ...rest]: readonly string[], value: unknown): T {
  const inner = (target as Record<string, unknown>)[name];
  return { ...target, [name]: rest.length === 0 ? value : withField(inner as object, rest, value) };
}

/** Port 0 blanks the address; other ports only count for an address that has none. */
function withDeprecatedPorts(
  configuration: KubeProxyConfiguration,
  given: ReadonlyMap<string, unknown>,
): KubeProxyConfiguration {
  const address = (current: string, port: unknown): string => (port === 0 ? '' : withPort(current, Number(port)));
  return {
    ...configuration,
    healthzBindAddress: address(configuration.healthzBindAddress, given.get('healthz-port') ?? healthzPort),
    metricsBindAddress: address(configuration.metricsBindAddress, given.get('metrics-port') ?? metricsPort),
  };
}
