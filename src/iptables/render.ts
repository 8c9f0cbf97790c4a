import type { ProxyModel, ServicePort } from '../model/model.ts';
import type { Ruleset, RulesetObject } from '../ruleset/ruleset.ts';
import { renderTemplate } from '../template.ts';
import {
  chainsContext,
  filterContext,
  filterServicePortContext,
  natContext,
  natServicePortContext,
  surroundingsOf,
} from './context.ts';
import type { Surroundings } from './context.ts';
import { parseIptables } from './parse.ts';

export interface IptablesOptions {
  /** Write the rules that count packets with nfacct; the counters must exist in the kernel. */
  readonly counters: boolean;
}

/** What one service port contributes to each part of the text. */
interface Fragment {
  readonly declarations: string;
  readonly nat: string;
  readonly filter: string;
}

/** The rules of one family as `iptables-save` would print them; loads into an empty host with `--noflush`. */
export function renderIptables(model: ProxyModel, options: IptablesOptions): string {
  const surroundings = surroundingsOf(model, options);
  const fragments = model.servicePorts.map((port) => renderServicePort(port, surroundings));
  const join = (part: keyof Fragment) => fragments.map((fragment) => fragment[part]).join('');
  return renderTables(model, options, { declarations: join('declarations'), nat: join('nat'), filter: join('filter') });
}

/**
 * The same rules as a ruleset. Rendering and parsing are remembered per service port, so that successive models
 * cost what changed between them, and objects that did not change are the same references.
 */
export function desiredIptables(model: ProxyModel, options: IptablesOptions): Ruleset {
  const surroundings = surroundingsOf(model, options);
  const rulesets = [parseIptables(renderTables(model, options, emptyFragment))];
  const key = JSON.stringify(surroundings);
  for (const port of model.servicePorts) rulesets.push(servicePortRuleset(port, surroundings, key));
  return combine(rulesets);
}

const emptyFragment: Fragment = { declarations: '', nat: '', filter: '' };

function renderTables(model: ProxyModel, options: IptablesOptions, { declarations, nat, filter }: Fragment): string {
  return (
    renderTemplate('iptables/filter', { ...filterContext(model, options), rules: filter }) +
    renderTemplate('iptables/nat', { ...natContext(model), declarations, rules: nat })
  );
}

function renderServicePort(port: ServicePort, surroundings: Surroundings): Fragment {
  return {
    declarations: renderTemplate('iptables/declarations', chainsContext(port)),
    nat: renderTemplate('iptables/service-port-nat', natServicePortContext(port, surroundings)),
    filter: renderTemplate('iptables/service-port-filter', filterServicePortContext(port)),
  };
}

const remembered = new WeakMap<ServicePort, { readonly surroundings: string; readonly ruleset: Ruleset }>();

function servicePortRuleset(port: ServicePort, surroundings: Surroundings, key: string): Ruleset {
  const known = remembered.get(port);
  if (known?.surroundings === key) return known.ruleset;
  const { declarations, nat, filter } = renderServicePort(port, surroundings);
  const ruleset = parseIptables(`*nat\n${declarations}${nat}*filter\n${filter}`);
  remembered.set(port, { surroundings: key, ruleset });
  return ruleset;
}

/** The union; objects of the same name, which only dispatch chains have, get the lines of all. */
function combine(rulesets: readonly Ruleset[]): Ruleset {
  const objects = new Map<string, RulesetObject>();
  const shared = new Map<string, string[]>();
  for (const ruleset of rulesets) {
    for (const [id, object] of ruleset.objects) {
      const existing = objects.get(id);
      if (existing === undefined) {
        objects.set(id, object);
        continue;
      }
      let lines = shared.get(id);
      if (lines === undefined) {
        lines = [...existing.lines];
        shared.set(id, lines);
        objects.set(id, { ...existing, lines });
      }
      for (const line of object.lines) lines.push(line);
    }
  }
  return { objects };
}
