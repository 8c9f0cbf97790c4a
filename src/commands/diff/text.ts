import { namespacedName } from '../../ruleset/ruleset.ts';
import type { Palette } from '../output/palette.ts';
import { counted } from '../output/words.ts';
import type { Difference, FamilyDifference, ServiceDifference, SharedChange } from './difference.ts';

/** How much is printed below each Service: every line, or the names of the objects. */
export type Detail = 'lines' | 'objects';

/** What differs, by Service and then by object. Empty when nothing differs and nothing is left over. */
export function differenceText(difference: Difference, detail: Detail, palette: Palette): string {
  return difference.families.map((family) => familyText(family, detail, palette)).join('');
}

/** `2 Services and 1 shared object`, for the end of a sentence. */
export function extent(families: readonly FamilyDifference[]): string {
  const services = new Set(families.flatMap(({ services }) => services.map(namespacedName)));
  const shared = families.reduce((count, family) => count + family.shared.length, 0);
  const parts = [
    ...(services.size > 0 ? [counted(services.size, 'Service')] : []),
    ...(shared > 0 ? [counted(shared, 'shared object')] : []),
  ];
  return parts.length === 0 ? 'nothing' : parts.join(' and ');
}

function familyText(family: FamilyDifference, detail: Detail, palette: Palette): string {
  const blocks = [
    ...family.services.map((service) => serviceText(service, detail, palette)),
    ...(family.shared.length > 0
      ? [`${palette.heading('  shared by all Services')}\n${changesText(family.shared, detail, palette)}`]
      : []),
    ...(family.leftovers.length > 0 ? [leftoversText(family.leftovers, palette)] : []),
  ];
  if (blocks.length === 0) return '';
  return `${palette.heading(family.family)}\n${blocks.join('')}`;
}

function serviceText(service: ServiceDifference, detail: Detail, palette: Palette): string {
  const ports = service.ports.length === 0 ? 'no longer served' : service.ports.join(', ');
  const heading = palette.heading(`  Service ${namespacedName(service)}`);
  return `${heading}  ${palette.faint(ports)}\n${changesText(service.changes, detail, palette)}`;
}

const signs = { add: '+', change: '~', delete: '-' } as const;

function changesText(changes: readonly SharedChange[], detail: Detail, palette: Palette): string {
  return changes
    .map((change) => {
      const paint = change.kind === 'add' ? palette.added : change.kind === 'delete' ? palette.removed : String;
      const object = `    ${paint(`${signs[change.kind]} ${change.object}`)}\n`;
      return detail === 'objects' ? object : object + linesText(change, palette);
    })
    .join('');
}

/** Lines on both sides of a rewritten chain are context, not change. */
function linesText({ before, after }: SharedChange, palette: Palette): string {
  const stays = new Set(after.filter((line) => before.includes(line)));
  const removed = before.filter((line) => !stays.has(line)).map((line) => `      ${palette.removed(`- ${line}`)}\n`);
  const added = after.map((line) =>
    stays.has(line) ? `        ${palette.faint(line)}\n` : `      ${palette.added(`+ ${line}`)}\n`,
  );
  return [...removed, ...added].join('');
}

function leftoversText(leftovers: readonly string[], palette: Palette): string {
  const shown = leftovers.slice(0, 20).map((name) => `    ${name}\n`);
  const rest = leftovers.length > shown.length ? `    … and ${leftovers.length - shown.length} more\n` : '';
  return `${palette.heading('  left over from another mode or variant')} ${palette.faint('(apply and run remove them)')}\n${shown.join('')}${rest}`;
}
