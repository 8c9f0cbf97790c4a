import type { Variant } from '../../kernel/iptables-tools.ts';
import type { ProxyModel } from '../../model/model.ts';
import type { CommandEffects } from '../command.ts';
import { TroubleError } from '../failure.ts';
import type { Input } from '../input/input.ts';
import { iptablesVariant, unsupported } from './kernel.ts';
import type { Kernel } from './kernel.ts';

/** An input, and the kernel it is held against. */
export interface LiveInput extends Input {
  readonly kernel: Kernel;
  readonly variant: Variant;
}

/** Throws TroubleError where the variant of iptables cannot be told. */
export async function withKernel(kernel: Kernel, input: Input): Promise<LiveInput> {
  return { ...input, kernel, variant: await iptablesVariant(kernel, input.config) };
}

/** A host may be without IPv6: that is said, and no failure unless it alone was asked for. Throws TroubleError. */
export async function hasFamily(
  { family }: ProxyModel,
  { config, models, kernel, variant }: LiveInput,
  effects: CommandEffects,
): Promise<boolean> {
  const reason = await unsupported(kernel, config.mode, family, variant);
  if (reason === undefined) return true;
  if (models.length === 1 || family === 'IPv4') throw new TroubleError(reason);
  warning(effects)(`${family} is left out: ${reason}`);
  return false;
}

/** For what a command goes on without. */
export function warning(effects: CommandEffects): (words: string) => void {
  return (words) => {
    effects.say(`warning: ${words}`);
  };
}
