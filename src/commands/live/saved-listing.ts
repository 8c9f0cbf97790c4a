import type { Config } from '../../config/config.ts';
import { planCleanup } from '../../iptables/cleanup.ts';
import { parseIptables } from '../../iptables/parse.ts';
import { planIptables } from '../../iptables/plan.ts';
import { desiredIptables } from '../../iptables/render.ts';
import type { ProxyModel } from '../../model/model.ts';
import { parseNftables } from '../../nftables/parse.ts';
import { planCleanup as planTableCleanup, planNftables } from '../../nftables/plan.ts';
import { desiredNftables } from '../../nftables/render.ts';
import type { Plan } from '../../ruleset/plan.ts';
import { objectsOf } from '../../ruleset/ruleset.ts';
import type { Ruleset } from '../../ruleset/ruleset.ts';
import type { IPFamily } from '../../source/objects.ts';
import { UsageError } from '../failure.ts';
import { removedObjects } from './removal.ts';

/** What a tool printed on some host, saved to a file, as something to compare with. */
export interface SavedListing {
  /** Those that the listing can be compared with. */
  readonly families: readonly IPFamily[];
  /** The host dropped INVALID packets; only the listing tells what its kernel was set to. */
  readonly dropsInvalid: boolean;
  compare(model: ProxyModel): { readonly plan: Plan; readonly leftovers: readonly string[] };
}

const nothing: Ruleset = { parts: [] };

/** Recognises `iptables-save` and `nft list`. Throws UsageError for anything else. */
export function savedListing(path: string, text: string, config: Config): SavedListing {
  if (/^table (?:ip|ip6|inet|arp|bridge|netdev) /m.test(text)) return savedTables(text, config);
  if (/^\*(?:nat|filter|mangle|raw|security)$/m.test(text)) return savedChains(path, text, config);
  if (text.trim() !== '') {
    throw new UsageError(`${path}: this is neither what iptables-save prints nor what nft list prints`);
  }
  return {
    families: config.ipFamilies,
    dropsInvalid: true,
    compare: (model) => ({ plan: planAgainst(nothing, model, config), leftovers: [] }),
  };
}

function savedChains(path: string, text: string, config: Config): SavedListing {
  const { ipFamilies, mode } = config;
  if (ipFamilies.length !== 1) {
    throw new UsageError(`${path}: an iptables-save listing holds one family; say which with --ip-family IPv4 or IPv6`);
  }
  refusePart(path, text);
  const live = parseIptables(text);
  const forward = objectsOf(live).get('filter chain KUBE-FORWARD');
  return {
    families: ipFamilies,
    dropsInvalid: forward === undefined || forward.lines.some((line) => line.includes(' --ctstate INVALID ')),
    compare: (model) =>
      mode === 'iptables'
        ? { plan: planAgainst(live, model, config), leftovers: [] }
        : {
            plan: planAgainst(nothing, model, config),
            leftovers: leftoverNames(planCleanup(live, { family: model.family, variant: 'nft' }), 'iptables'),
          },
  };
}

/** What a listing leaves out would count as missing on the host. */
function refusePart(path: string, text: string): void {
  const [, unread] = /^# Table [`'](.+)' is incompatible/m.exec(text) ?? [];
  if (unread !== undefined) {
    throw new UsageError(`${path}: iptables-save could not read table ${unread}, which holds native nft rules`);
  }
  const [last] = text.split(/^COMMIT$/m).slice(-1);
  const [, open] = /^\*(.+)$/m.exec(last ?? '') ?? [];
  if (open !== undefined) throw new UsageError(`${path}: the listing is cut short: table ${open} has no COMMIT`);
}

function savedTables(text: string, config: Config): SavedListing {
  const held = config.ipFamilies.filter((family) =>
    new RegExp(`^table ${family === 'IPv4' ? 'ip' : 'ip6'} kube-proxy(?: |$)`, 'm').test(text),
  );
  // Without a table of ours all is missing, in every family asked for.
  const families = held.length === 0 ? config.ipFamilies : held;
  const live = parseNftables(text);
  return {
    families,
    dropsInvalid: true,
    compare: (model) =>
      config.mode === 'nftables'
        ? { plan: planAgainst(ofFamily(live, model.family), model, config), leftovers: [] }
        : {
            plan: planAgainst(nothing, model, config),
            leftovers: leftoverNames(planTableCleanup(ofFamily(live, model.family), model.family), 'nftables'),
          },
  };
}

function ofFamily(ruleset: Ruleset, family: IPFamily): Ruleset {
  const prefix = family === 'IPv4' ? 'ip ' : 'ip6 ';
  return { parts: ruleset.parts.map((part) => part.filter(({ table }) => table.startsWith(prefix))) };
}

function planAgainst(live: Ruleset, model: ProxyModel, config: Config): Plan {
  if (config.mode === 'nftables') return planNftables(live, desiredNftables(model), model.family);
  const desired = desiredIptables(model, { counters: config.nfacct });
  return planIptables(live, desired, { family: model.family, variant: 'nft' });
}

/** What `cleanup` would remove: what is shared with the kubelet is not left over. */
function leftoverNames(plan: Plan, tool: string): string[] {
  return removedObjects(plan).map((object) => `${tool}: ${object}`);
}
