import { servicePortName } from '../../model/model.ts';
import type { Palette } from '../output/palette.ts';
import { textWidth, wrap } from '../output/words.ts';
import { isConflict } from './problems.ts';
import type { PortProblem } from './problems.ts';
import type { HealthCheckNodePort, NodePort, PortTable } from './table.ts';

/** The table for people; `wide` cuts nothing off and shows the addresses of each port. */
export function portsText(table: PortTable, form: 'text' | 'wide', palette: Palette): string {
  const { nodePorts, healthCheckNodePorts, conflicts } = table;
  const blocks = [
    nodePorts.length === 0 ? ['No Service has a node port.'] : portLines(nodePorts, form, palette),
    ...(healthCheckNodePorts.length === 0 ? [] : [healthCheckLines(healthCheckNodePorts, palette)]),
    ...(conflicts.length === 0 ? [] : [conflictLines(table, palette)]),
    summaryLines(table),
  ];
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function portLines(nodePorts: readonly NodePort[], form: 'text' | 'wide', palette: Palette): readonly string[] {
  const headings = form === 'wide' ? wideHeadings : headingsOf;
  const cells = nodePorts.map(form === 'wide' ? wideCells : cellsOf);
  const [heading = '', ...lines] = columns([headings, ...cells], form === 'wide' ? Infinity : textWidth);
  return [
    palette.heading(heading),
    ...nodePorts.flatMap(({ problems }, at) => [
      lines[at] ?? '',
      ...problems.flatMap((one) => problemLines(one, palette)),
    ]),
  ];
}

const headingsOf = ['NODE PORT', 'SERVICE', 'PORT -> TARGET', 'POLICY', 'READY', 'ANSWERS ON'];
const wideHeadings = ['NODE PORT', 'SERVICE', 'TYPE', 'PORT -> TARGET', 'POLICY', 'READY', 'HERE', 'ALL', 'ANSWERS ON'];

function cellsOf(one: NodePort): readonly string[] {
  const { endpoints } = one;
  const [number, service, target] = namesOf(one);
  return [number, service, target, one.externalTrafficPolicy, `${endpoints.ready}/${endpoints.total}`, familiesOf(one)];
}

function wideCells(one: NodePort): readonly string[] {
  const { ready, local, total } = one.endpoints;
  const [number, service, target] = namesOf(one);
  const counts = [ready, local, total].map(String);
  return [
    number,
    service,
    one.type,
    target,
    one.externalTrafficPolicy,
    ...counts,
    one.addresses.join(' ') || 'nothing',
  ];
}

function namesOf(one: NodePort): readonly [string, string, string] {
  return [
    `${one.nodePort}/${one.protocol}`,
    servicePortName({ portName: '', ...one }),
    `${one.port} -> ${one.targetPort}`,
  ];
}

/** The addresses themselves are the same for most ports: the summary names them. */
function familiesOf({ addresses }: NodePort): string {
  const families = [
    ...(addresses.some((address) => !address.includes(':') && !isLocalhost(address)) ? ['IPv4'] : []),
    ...(addresses.some((address) => address.includes(':')) ? ['IPv6'] : []),
    ...(addresses.some(isLocalhost) ? ['localhost'] : []),
  ];
  return families.join(' ') || 'nothing';
}

function isLocalhost(address: string): boolean {
  return address.startsWith('127.');
}

/** Aligned; the second column, names that people choose, gives way where a line would be too long. */
function columns(rows: readonly (readonly string[])[], width: number): readonly string[] {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, at) => Math.max(all[at] ?? 0, cell.length)), []);
  const total = widths.reduce((sum, one) => sum + one + 2, -2);
  const names = Math.max(12, (widths[1] ?? 0) - Math.max(0, total - width));
  return rows.map((row) =>
    row
      .map((cell, at) =>
        at === 1 ? shortened(cell, names).padEnd(Math.min(names, widths[1] ?? 0)) : cell.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** The end of a name, with the port, tells more than its middle. */
function shortened(name: string, width: number): string {
  if (name.length <= width) return name;
  const end = Math.floor((width - 1) / 2);
  return `${name.slice(0, width - 1 - end)}…${name.slice(name.length - end)}`;
}

function problemLines(problem: PortProblem, palette: Palette): readonly string[] {
  const paint = isConflict(problem) ? palette.removed : palette.heading;
  const [first = '', ...rest] = wrap(`${problem.code}: ${problem.message}`, '  ! ', '    ');
  return [paint(first), ...rest.map(paint), ...wrap(problem.hint, '    do: ', '        ').map(palette.faint)];
}

function healthCheckLines(ports: readonly HealthCheckNodePort[], palette: Palette): readonly string[] {
  return [
    palette.heading('HEALTH CHECK NODE PORTS'),
    ...ports.flatMap(({ nodePort, namespace, name, problems }) => [
      `${`${nodePort}/TCP`.padEnd(9)}  ${namespace}/${name}`,
      ...problems.flatMap((one) => problemLines(one, palette)),
    ]),
  ];
}

function conflictLines({ conflicts }: PortTable, palette: Palette): readonly string[] {
  return [
    palette.heading('CONFLICTS'),
    ...conflicts.flatMap(({ nodePort, protocol, holder, refused }) => [
      `${nodePort}/${protocol} is held by Service ${holder.namespace}/${holder.name}`,
      ...refused.flatMap(({ namespace, name, message, place }) =>
        wrap(message, `  refused to ${namespace}/${name}${place === undefined ? '' : ` (${place})`}: `, '    '),
      ),
    ]),
  ];
}

function summaryLines({ nodePorts, free, bands, suggested }: PortTable): readonly string[] {
  const addresses = [...new Set(nodePorts.flatMap((one) => one.addresses))];
  const staticBand =
    bands.static === undefined ? 'no static band' : `${free.static} in the static band ${rangeText(bands.static)}`;
  return [
    ...(addresses.length === 0 ? [] : wrap(addresses.join(' '), 'Addresses: ', '           ')),
    `Free:      ${staticBand}, ${free.dynamic} in the dynamic band ${rangeText(bands.dynamic)}`,
    ...(suggested.length === 0 ? [] : wrap(suggested.join(' '), 'Suggested: ', '           ')),
  ];
}

function rangeText({ first, last }: { readonly first: number; readonly last: number }): string {
  return `${first}-${last}`;
}
