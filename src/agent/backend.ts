import type { IPFamily } from '../source/objects.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Plan, Script } from '../ruleset/plan.ts';
import type { Ruleset, ServiceName } from '../ruleset/ruleset.ts';

/** What a tool printed. */
export interface Listing {
  /** Equal for two listings of the same rules. */
  readonly fingerprint: string;
  /** Absent when it is the one that is known. */
  readonly text?: string;
}

/** One mode for one IP family: what goes in (the model) and what comes out (rulesets and plans), and its tool. */
export interface Backend {
  readonly mode: 'iptables' | 'nftables';
  readonly family: IPFamily;
  /** What the kernel should hold. */
  desired(model: ProxyModel): Ruleset;
  /** Reads a listing; throws an error that names the line when it is none. */
  parse(text: string): Ruleset;
  /** What belongs to a withheld Service stays as it is live. */
  plan(live: Ruleset, desired: Ruleset, isWithheld?: (service: ServiceName) => boolean): Plan;
  /** Removes all that is ours or kube-proxy's in this mode. */
  planCleanup(live: Ruleset): Plan;
  list(): Promise<Ruleset>;
  /** The rules as the tool prints them. `known`: the fingerprint of a listing that need not come again. */
  listing(known?: string): Promise<Listing>;
  /** Throws LoadError. */
  load(script: Script): Promise<void>;
  /**
   * Whether the kernel takes the script where no rules are: tells a bad rule from a bad moment. Throws LoadError when
   * that cannot be tried here.
   */
  tryLoad(script: Script): Promise<boolean>;
}
