import type { Config } from '../../config/config.ts';
import { nodeIPs, podCidrs } from '../../config/node.ts';
import { hostAddresses, libraryAddresses } from '../../kernel/interfaces.ts';
import type { Run } from '../../kernel/run.ts';
import type { ProxyModel } from '../../model/model.ts';
import { hostOf } from '../../ruleset/walk-host.ts';
import type { IPFamily } from '../../source/objects.ts';
import type { HostFacts, Input } from '../input/input.ts';
import type { ExplainInput } from './answer.ts';

/** What the walker must know of the node; without a state, what the command line or this host tells. */
export function surroundings(config: Config, state: Input | undefined): Omit<ExplainInput, 'programs'> {
  const addresses = state?.host.addresses ?? config.nodeAddresses ?? libraryAddresses().map(({ address }) => address);
  const node = state?.host.node;
  const known = nodeIPs(config, node).byFamily;
  const primaryAddresses = (['IPv4', 'IPv6'] as const).flatMap((family) => {
    const isKnown = known[family] !== '127.0.0.1' && known[family] !== '::1';
    return isKnown ? [known[family]] : addresses.filter((address) => isUsual(address, family)).slice(0, 1);
  });
  const podCIDRs = podCidrs(node);
  const models = state?.models ?? [];
  const host = hostOf({ addresses, primaryAddresses, podCIDRs, podsHere: podsHere(models) });
  return { models, host, primaryAddresses, podCIDRs };
}

/** Slices name the node of an endpoint, as a rule. */
function podsHere(models: readonly ProxyModel[]): ReadonlyMap<string, boolean> {
  const endpoints = models.flatMap(({ servicePorts }) => servicePorts.flatMap((port) => port.allEndpoints));
  return new Map(
    endpoints.flatMap(({ address, nodeName, isLocal }) =>
      nodeName === undefined ? [] : [[address, isLocal] as const],
    ),
  );
}

/** An address that other hosts can know: neither loopback nor link-local. */
function isUsual(address: string, family: IPFamily): boolean {
  return address.includes(':') === (family === 'IPv6') && !/^(?:127\.|169\.254\.|::1$|fe80:)/.test(address);
}

/** This host, for walks through its own kernel's rules. */
export function factsOfHost(run: Run): HostFacts {
  return {
    addresses: async () => (await hostAddresses(run)).map(({ address }) => address),
    // Only packets that conntrack calls INVALID are treated differently, and none of those is walked.
    tracksLiberally: () => Promise.resolve(false),
  };
}
