import type { Endpoint, ServicePort } from '../../model/model.ts';
import { concernList } from './concern-list.ts';
import type { PortReport, ServiceReport } from './data.ts';
import { anchorOf, healthBar } from './health.ts';
import { html, when } from './markup.ts';
import type { Markup } from './markup.ts';
import { wayDetails } from './way.ts';
import type { ShownPaths } from './way.ts';

/** With more Services the page would be slow to open: a way takes a dozen lines, and most ways are alike. */
const maxWithPaths = 200;

/** Every Service, closed; inside its ports, endpoints and the ways of packets. */
export function servicesSection(services: readonly ServiceReport[]): Markup {
  const paths = services.length > maxWithPaths ? 'undelivered' : 'all';
  return html`<section id="services" aria-labelledby="services-h">
    <div class="head">
      <h2 id="services-h">Services <span class="n">${services.length}</span></h2>
      <button type="button" id="expand" hidden aria-controls="services">Open all</button>
    </div>
    ${when(paths !== 'all', () => html`<p class="quiet">With so many Services, the rules on the way are shown where a packet does not arrive. For all others: <code>portwright explain</code>.</p>`)}${services.map((service) => serviceCard(service, paths))}
    <p class="none" hidden>No Service matches.</p>
  </section>`;
}

function serviceCard(service: ServiceReport, paths: ShownPaths): Markup {
  const { namespace, name, type, ports, endpoints, concerns } = service;
  return html`<details class="card service" id="${anchorOf(namespace, name)}" data-find="${findable(service)}">
    <summary>
      <span class="name"><span class="ns">${namespace}/</span><b>${name}</b></span
      ><span class="facts"><span class="quiet">${type}</span>${portChips(ports)}</span
      ><span class="end">${badge(service)}${when(ports.length > 0, () => healthBar(endpoints))}</span>
    </summary>
    <div class="body">
      ${concernList(concerns, 'within')}${ports.map((port) => portBlock(port, paths))}${when(ports.length === 0, () => html`<p class="quiet">No rules are made for it: ${reasonFor(service)}.</p>`)}
    </div>
  </details> `;
}

function findable({ namespace, name, type, ports }: ServiceReport): string {
  const words = ports.flatMap(({ servicePort: one }) => [
    one.portName,
    one.port,
    one.nodePort ?? '',
    one.protocol,
    one.clusterIP,
    ...one.externalIPs,
    ...one.loadBalancerIPs,
    ...one.allEndpoints.flatMap(({ address, pod = '' }) => [address, pod]),
  ]);
  return [...new Set([`${namespace}/${name}`, type, ...words])].join(' ').toLowerCase();
}

function portChips(ports: readonly PortReport[]): Markup {
  const texts = ports.map(({ servicePort: { port, protocol, nodePort } }) => {
    const suffix = protocol === 'TCP' ? '' : `/${protocol}`;
    return nodePort === undefined ? `${port}${suffix}` : `${port}:${nodePort}${suffix}`;
  });
  return html`${[...new Set(texts)].map((text) => html` <code class="chip">${text}</code>`)}`;
}

function badge({ concerns }: ServiceReport): Markup {
  const [first] = concerns;
  if (first === undefined) return html``;
  const isBad = first.level === 'problem';
  const noun = isBad ? 'problem' : 'warning';
  const count = concerns.filter(({ level }) => level === first.level).length;
  return html`<span class="tag ${isBad ? 'bad' : 'warn'}">${count} ${noun}${count === 1 ? '' : 's'}</span> `;
}

function reasonFor({ type }: ServiceReport): string {
  return type === 'ExternalName'
    ? 'it is only another name in DNS'
    : 'it has no cluster IP or no port of these families';
}

function portBlock({ servicePort: one, ways }: PortReport, paths: ShownPaths): Markup {
  return html`<div class="port">
    <h3>
      ${one.portName === '' ? 'port' : one.portName} <code>${one.port}</code>/${one.protocol}
      <span class="tag">${one.family}</span>
    </h3>
    <ul class="policies">
      ${policiesOf(one).map((text) => html`<li>${text}</li>`)}
    </ul>
    ${endpointTable(one)}
    <div class="ways">${ways.map((way) => wayDetails(way, paths))}</div>
  </div> `;
}

function policiesOf(one: ServicePort): readonly string[] {
  return [
    `inside the cluster: ${one.internalPolicy}`,
    ...(one.isExternal ? [`from outside: ${one.externalPolicy}`] : []),
    ...(one.affinityTimeoutSeconds === undefined
      ? []
      : [`a client keeps its endpoint for ${one.affinityTimeoutSeconds} s`]),
    ...(one.sourceRanges === undefined ? [] : [`load balancer for ${one.sourceRanges.join(', ') || 'nobody'} only`]),
    ...(one.healthCheckNodePort === undefined ? [] : [`health checks on ${one.healthCheckNodePort}`]),
  ];
}

/** More than these are only counted: a table of thousands tells nobody anything. */
const maxEndpoints = 50;

function endpointTable({ allEndpoints }: ServicePort): Markup {
  if (allEndpoints.length === 0) return html`<p class="quiet">No endpoints.</p>`;
  // Those that need attention come first.
  const sorted = allEndpoints.toSorted((left, right) => Number(left.isReady) - Number(right.isReady));
  const rest = sorted.length - maxEndpoints;
  return html`<table class="endpoints">
      <thead>
        <tr>
          <th scope="col">Endpoint</th>
          <th scope="col">Pod</th>
          <th scope="col">Node</th>
          <th scope="col">Health</th>
        </tr>
      </thead>
      <tbody>
        ${sorted.slice(0, maxEndpoints).map(endpointRow)}
      </tbody>
    </table>
    ${when(rest > 0, () => html`<p class="quiet">and ${rest} more</p>`)}`;
}

function endpointRow({ key, pod, nodeName, isLocal, ...health }: Endpoint): Markup {
  const [kind, text] = healthOf(health);
  return html`<tr>
    <th scope="row"><code>${key}</code></th>
    <td data-label="Pod">${pod ?? '–'}</td>
    <td data-label="Node">${nodeName ?? '–'}${when(isLocal, () => html` <span class="tag">here</span>`)}</td>
    <td data-label="Health"><span class="dot ${kind}">${text}</span></td>
  </tr> `;
}

function healthOf({ isReady, isServing, isTerminating }: Pick<Endpoint, 'isReady' | 'isServing' | 'isTerminating'>) {
  if (isReady) return ['good', 'ready'] as const;
  if (isTerminating) return ['warn', isServing ? 'terminating, still serving' : 'terminating'] as const;
  return ['bad', 'not ready'] as const;
}
