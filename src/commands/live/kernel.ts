import { createIptablesBackend } from '../../iptables/backend.ts';
import { iptablesCounters } from '../../iptables/context.ts';
import type { Backend } from '../../agent/backend.ts';
import type { Config, ProxyMode } from '../../config/config.ts';
import type { LoadFailure } from '../../kernel/classify.ts';
import { isRefusal, LoadError } from '../../kernel/errors.ts';
import { openHost } from '../../kernel/host.ts';
import type { Host } from '../../kernel/host.ts';
import { hostAddresses } from '../../kernel/interfaces.ts';
import { iptablesFamily, nftFamily } from '../../kernel/ip-families.ts';
import { createIptablesTools } from '../../kernel/iptables-tools.ts';
import type { Variant } from '../../kernel/iptables-tools.ts';
import { detectVariant } from '../../kernel/iptables-variant.ts';
import { createCounters, hasCounterMatch } from '../../kernel/nfacct.ts';
import { createNftTool } from '../../kernel/nft-tool.ts';
import { inScratchNamespace, tryTables } from '../../kernel/scratch.ts';
import { createSysctl, routeLocalnet } from '../../kernel/sysctl.ts';
import type { Sysctl } from '../../kernel/sysctl.ts';
import type { ProxyModel } from '../../model/model.ts';
import { createNftablesBackend } from '../../nftables/backend.ts';
import type { IPFamily } from '../../source/objects.ts';
import { TroubleError } from '../failure.ts';
import type { HostFacts } from '../input/input.ts';

/** This host's kernel and tools. */
export interface Kernel extends Host {
  readonly sysctl: Sysctl;
  readonly facts: HostFacts;
}

/** A backend, and how messages name it: `iptables (nf_tables)`, `iptables (legacy)`, `nftables`. */
export interface NamedBackend {
  readonly name: string;
  readonly backend: Backend;
}

/** This host's kernel; the environment may name lock file and runtime directory. Throws RuntimeFileError. */
export async function openKernel(env: Readonly<Record<string, string | undefined>>): Promise<Kernel> {
  const lockFile = env['XTABLES_LOCKFILE'];
  const runtimeDirectory = env['PORTWRIGHT_RUNTIME_DIR'];
  const host = await openHost({
    ...(runtimeDirectory === undefined ? {} : { runtimeDirectory }),
    ...(lockFile === undefined ? {} : { env: { XTABLES_LOCKFILE: lockFile } }),
  });
  const sysctl = createSysctl(host.files);
  return {
    ...host,
    sysctl,
    facts: {
      addresses: async () => (await hostAddresses(host.run)).map(({ address }) => address),
      tracksLiberally: async () => {
        const value = await sysctl.read('net/netfilter/nf_conntrack_tcp_be_liberal').catch(() => undefined);
        return value !== undefined && value !== '0';
      },
    },
  };
}

/** The variant that this node's iptables rules live in. Throws TroubleError where to guess could mean two proxies. */
export async function iptablesVariant(kernel: Kernel, config: Config): Promise<Variant> {
  if (config.iptablesVariant !== 'auto') return config.iptablesVariant;
  const { variant, doubt } = await detectVariant(kernel);
  if (doubt === undefined || config.mode !== 'iptables') return variant;
  throw new TroubleError(`the variant of iptables cannot be told: ${doubt}. Or say which with --iptables-variant`);
}

/** The backend of one family in the given mode. `counters`: also write the rules that count packets. */
export function backendFor(
  kernel: Kernel,
  mode: ProxyMode,
  options: { readonly family: IPFamily; readonly variant: Variant; readonly counters: boolean },
): NamedBackend {
  const { family, variant, counters } = options;
  if (mode === 'nftables') {
    const tool = createNftTool(kernel);
    const backend = createNftablesBackend(family, {
      list: (of) => tool.list(of),
      listNews: (of, glance) => tool.listNews(of, glance),
      load: (script) => tool.load(script),
      tryLoad: async (script) => isTaken(await tryTables(kernel, script)),
    });
    return { name: 'nftables', backend };
  }
  const tools = createIptablesTools(kernel, variant);
  const scratch = inScratchNamespace(kernel, variant);
  return {
    name: `iptables (${variant === 'nft' ? 'nf_tables' : 'legacy'})`,
    backend: createIptablesBackend(
      { family, variant },
      { counters },
      {
        list: (of) => tools.list(of),
        listNews: (of, glance) => tools.listNews(of, glance),
        load: (of, script) => tools.load(of, script),
        tryLoad: async (of, script) => isTaken(await scratch.tryLoad(of, script, counters ? iptablesCounters : [])),
      },
    ),
  };
}

/** What a trial says of a script; a trial that could not be made says nothing. */
function isTaken(failure: LoadFailure | undefined): boolean {
  if (failure === undefined) return true;
  const error = new LoadError(failure);
  if (isRefusal(error)) return false;
  throw error;
}

/** Whether both packet counters exist or could be made now. */
export async function haveCounters(kernel: Kernel): Promise<boolean> {
  const present = await createCounters(kernel.run).ensure(iptablesCounters);
  return iptablesCounters.every((name) => present.has(name));
}

/** Whether rules can count packets here: the counters, and the match that feeds them. */
export async function countsPackets(kernel: Kernel, variant: Variant): Promise<boolean> {
  return (await haveCounters(kernel)) && (await hasCounterMatch(kernel.run, variant, iptablesCounters[0]));
}

/**
 * Lets node ports answer on localhost where the model wants that; not before the rules stand, since one of them guards
 * it. Gives what did not work, in words.
 */
export async function routeLocalhost(kernel: Kernel, { localhostNodePorts }: ProxyModel): Promise<string[]> {
  if (!localhostNodePorts) return [];
  try {
    await kernel.sysctl.ensure(routeLocalnet, '1');
    return [];
  } catch (error) {
    return [`node ports on localhost will not answer: ${(error as Error).message}`];
  }
}

/** Why this host cannot have rules of a family in a mode; absent when it can. */
export async function unsupported(
  kernel: Kernel,
  mode: ProxyMode,
  family: IPFamily,
  variant: Variant,
): Promise<string | undefined> {
  if (mode === 'iptables') return (await iptablesFamily(kernel, variant, family)).reason;
  // Throws when nft is missing or too old to be let near the tables of others.
  await createNftTool(kernel).version();
  return (await nftFamily(kernel.files, family)).reason;
}
