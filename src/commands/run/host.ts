import { cpus, hostname } from 'node:os';
import type { Backend } from '../../agent/backend.ts';
import { applyTuning } from '../../agent/kernel-settings.ts';
import { conntrackTuning, oomTuning } from '../../agent/tuning.ts';
import type { Config } from '../../config/config.ts';
import { modelOptions } from '../../config/node.ts';
import { withGuard } from '../../iptables/guard.ts';
import { claimInstance, type Claim } from '../../kernel/instance-lock.ts';
import type { Variant } from '../../kernel/iptables-tools.ts';
import { routeLocalnet } from '../../kernel/sysctl.ts';
import type { Logger } from '../../log.ts';
import { buildModel } from '../../model/build.ts';
import type { ProxyModel } from '../../model/model.ts';
import type { IPFamily } from '../../source/objects.ts';
import { TroubleError } from '../failure.ts';
import { backendFor, haveCounters, routeLocalhost, unsupported } from '../live/kernel.ts';
import type { Kernel } from '../live/kernel.ts';
import { findLeftovers, removeLeftovers } from '../live/leftovers.ts';
import { holderName } from '../live/turn.ts';

/** Sets what the configuration wants of the connection table. */
export async function tuneConntrack(config: Config, kernel: Kernel, logger: Logger): Promise<void> {
  await applyTuning(conntrackTuning(config.conntrack, cpus().length), kernel.sysctl, logger);
}

/** Tells the kernel how late to kill this process. */
export async function tuneOom(config: Config, kernel: Kernel, logger: Logger): Promise<void> {
  await applyTuning([oomTuning(config.oomScoreAdj)], kernel.sysctl, logger);
}

/** The families that were asked for and that this host has. Throws TroubleError when IPv4, or all, cannot be had. */
export async function usableFamilies(
  config: Config,
  kernel: Kernel,
  variant: Variant,
  logger: Logger,
): Promise<readonly IPFamily[]> {
  const usable: IPFamily[] = [];
  for (const family of config.ipFamilies) {
    const reason = await unsupported(kernel, config.mode, family, variant);
    if (reason === undefined) usable.push(family);
    else if (family === 'IPv4' || config.ipFamilies.length === 1) throw new TroubleError(`${family}: ${reason}`);
    else logger.warn('a family is left out', { family, reason });
  }
  return usable;
}

const claimRetryMs = 1_000;
const claimSayMs = 30_000;

/**
 * Waits until this is the one agent of the node; nothing when told to stop meanwhile. A claim that is lost, because
 * somebody ends all processes of a name, is made again; `onLost` is called when it cannot be.
 */
export async function claimNode(
  kernel: Kernel,
  logger: Logger,
  { signal, onLost }: { readonly signal: AbortSignal; readonly onLost: (reason: string) => void },
): Promise<{ release(): void } | undefined> {
  let current: Claim | undefined;
  const claimAgain = async (lost: string): Promise<void> => {
    try {
      current = await claimInstance(kernel, (reason) => void claimAgain(reason));
      if (current.isOurs) logger.warn('the lock that marks this node as ours was lost, and is ours again', { lost });
      else onLost(`${lost}; it is that of ${holderName(current.holder)} now`);
    } catch (error) {
      onLost(`${lost}; ${(error as Error).message}`);
    }
  };
  let saidAt = -Infinity;
  while (!signal.aborted) {
    const claim = await claimInstance(kernel, (reason) => void claimAgain(reason));
    if (claim.isOurs) {
      current = claim;
      return {
        release: () => {
          if (current?.isOurs === true) current.release();
        },
      };
    }
    const now = performance.now();
    if (now - saidAt >= claimSayMs) {
      saidAt = now;
      const by = holderName(claim.holder);
      logger.warn('another agent programs this node; waiting for its end, and writing nothing', { by });
    }
    await pause(claimRetryMs, signal);
  }
  return undefined;
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    signal.addEventListener('abort', end);
  });
}

/** What follows the first rules of a family: the setting that needs its guard rule first, then the other mode's removal. */
export async function settleFamily(
  kernel: Kernel,
  variant: Variant,
  backend: Backend,
  model: ProxyModel,
): Promise<readonly string[]> {
  const failures = await routeLocalhost(kernel, model);
  const leftovers = await findLeftovers(kernel, backend.mode, { family: backend.family, variant }, (words) => {
    failures.push(words);
  });
  return [...failures, ...(await removeLeftovers(leftovers))];
}

/**
 * The same backend; before it reads rules it makes the packet counters that somebody removed together with the rules
 * that named them. Rules that name a missing counter are refused, and everything that is written with them.
 */
export function withCounters(kernel: Kernel, backend: Backend): Backend {
  return {
    ...backend,
    list: async () => {
      await haveCounters(kernel);
      return backend.list();
    },
    listing: async (known) => {
      await haveCounters(kernel);
      return backend.listing(known);
    },
  };
}

/**
 * Only what needs full privileges: settings. Of the rules it writes none but the guard without which `route_localnet`
 * would let packets to 127.0.0.0/8 in from outside.
 */
export async function initialise(config: Config, kernel: Kernel, variant: Variant, logger: Logger): Promise<void> {
  await tuneConntrack(config, kernel, logger);
  // The addresses of the Node, which "primary" means, are never loopback.
  if (!config.ipFamilies.includes('IPv4') || config.nodePortAddresses[0] === 'primary') return;
  const options = modelOptions(config, { nodeName: hostname(), addresses: [] }, 'IPv4');
  if (!options.localhostNodePorts) return;
  const { backend } = backendFor(kernel, 'iptables', { family: 'IPv4', variant, counters: false });
  const model = buildModel({ services: [], slices: new Map(), serviceCIDRs: [] }, options);
  try {
    const live = await backend.list();
    const { scripts } = backend.plan(live, withGuard(live, backend.desired(model)));
    for (const script of scripts) await backend.load(script);
    await kernel.sysctl.ensure(routeLocalnet, '1');
  } catch (error) {
    logger.warn('node ports on localhost will not answer', { error });
  }
}
