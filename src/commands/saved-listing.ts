import type { Config } from '../config/config.ts';
import { parseIptables } from '../iptables/parse.ts';
import { planIptables } from '../iptables/plan.ts';
import { desiredIptables } from '../iptables/render.ts';
import type { ProxyModel } from '../model/model.ts';
import type { Plan } from '../ruleset/plan.ts';
import { objectsOf } from '../ruleset/ruleset.ts';
import type { IPFamily } from '../source/objects.ts';
import { UsageError } from './failure.ts';

/** What a tool printed on some host, saved to a file, as something to compare with. */
export interface SavedListing {
  /** Those that the listing can be compared with. */
  readonly families: readonly IPFamily[];
  /** The host dropped INVALID packets; only the listing tells what its kernel was set to. */
  readonly dropsInvalid: boolean;
  compare(model: ProxyModel): { readonly plan: Plan; readonly leftovers: readonly string[] };
}

/** Recognises `iptables-save` and `nft list`. Throws UsageError for anything else. */
export async function savedListing(path: string, text: string, config: Config): Promise<SavedListing> {
  if (/^table (?:ip|ip6|inet|arp|bridge|netdev) /m.test(text)) return savedTables(text, config);
  if (/^\*(?:nat|filter|mangle|raw|security)$/m.test(text) || text.trim() === '') return savedIptables(path, text, config);
  throw new UsageError(`${path}: this is neither what iptables-save prints nor what nft list prints`);
}

function savedIptables(path: string, text: string, config: Config): SavedListing {
  const { ipFamilies } = config;
  if (ipFamilies.length !== 1 && text.trim() !== '') {
    throw new UsageError(`${path}: an iptables-save listing holds one family; say which with --ip-family IPv4 or IPv6`);
  }
  const live = parseIptables(text);
  const forward = objectsOf(live).get('filter chain KUBE-FORWARD');
  const owned = [...objectsOf(live).values()].filter(({ isOwned }) => isOwned);
  if (config.mode === 'nftables') {
    return {
      families: ipFamilies,
      dropsInvalid: true,
      compare: (model) => ({ plan: missingTables(model), leftovers: owned.map(({ table, name }) => `iptables: ${table} ${name}`) }),
    };
  }
  return {
    families: ipFamilies,
    dropsInvalid: forward === undefined || forward.lines.some((line) => line.includes(' --ctstate INVALID ')),
    compare: (model) => ({ plan: planAgainst(live, model, config), leftovers: [] }),
  };
}

function planAgainst(live: ReturnType<typeof parseIptables>, model: ProxyModel, config: Config): Plan {
  return planIptables(live, desiredIptables(model, { counters: config.nfacct }), { family: model.family, variant: 'nft' });
}

function missingTables(_model: ProxyModel): Plan {
  throw new Error('unreachable: nftables');
}

function savedTables(_text: string, _config: Config): SavedListing {
  throw new Error('unreachable: nftables');
}
