import type { Config } from '../config/config.ts';
import type { ProxyModel } from '../model/model.ts';
import type { IPFamily } from '../source/objects.ts';

/** Text of the rules for a model, in the configured mode. */
export async function renderer(config: Config): Promise<(model: ProxyModel) => string> {
  if (config.mode === 'nftables') {
    const { renderNftables } = await import('../nftables/render.ts');
    return renderNftables;
  }
  const { renderIptables } = await import('../iptables/render.ts');
  return (model) => renderIptables(model, { counters: config.nfacct });
}

/** The command that loads the text of one family into an empty host. */
export function toolOf(mode: Config['mode'], family: IPFamily): string {
  if (mode === 'nftables') return 'nft -f';
  return family === 'IPv4' ? 'iptables-restore --noflush' : 'ip6tables-restore --noflush';
}
