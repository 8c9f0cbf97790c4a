import type { HealthCheckNodePort, NodePort, PortTable } from '../ports/table.ts';
import { healthBar, serviceLink } from './health.ts';
import { html, when } from './markup.ts';
import type { Markup } from './markup.ts';

/** The table of node ports, and what is free. */
export function portsSection(table: PortTable): Markup {
  const { nodePorts, healthCheckNodePorts: checks } = table;
  if (nodePorts.length + checks.length === 0) return emptySection(table);
  return html`<section id="ports" aria-labelledby="ports-h">
    <h2 id="ports-h">Node ports <span class="n">${nodePorts.length}</span></h2>
    <table class="ports">
      <thead>
        <tr>
          <th scope="col">Port</th>
          <th scope="col">Service</th>
          <th scope="col">To</th>
          <th scope="col">Policy</th>
          <th scope="col">Ready</th>
          <th scope="col">Answers on</th>
          <th scope="col">State</th>
        </tr>
      </thead>
      <tbody>
        ${nodePorts.map(portRow)}${checks.map(checkRow)}
      </tbody>
    </table>
    <p class="none" hidden>No node port matches.</p>
    ${bands(table)}
  </section>`;
}

function emptySection(table: PortTable): Markup {
  return html`<section id="ports" aria-labelledby="ports-h">
    <h2 id="ports-h">Node ports</h2>
    <p class="quiet">No Service has a node port.</p>
    ${bands(table)}
  </section>`;
}

function portRow(one: NodePort): Markup {
  const { nodePort, protocol, namespace, name, portName = '', port, targetPort, endpoints, addresses } = one;
  const find = [nodePort, protocol, `${namespace}/${name}`, portName, port, ...addresses].join(' ').toLowerCase();
  return html`<tr data-find="${find}">
    <th scope="row"><code>${nodePort}</code><small>/${protocol}</small></th>
    <td data-label="Service">
      ${serviceLink(namespace, name)}${when(portName !== '', () => html`<small>:${portName}</small>`)}
    </td>
    <td data-label="To"><code>${port}</code> → <code>${targetPort}</code></td>
    <td data-label="Policy">${one.externalTrafficPolicy}</td>
    <td data-label="Ready">${healthBar(endpoints)}</td>
    <td data-label="Answers on">${addressList(addresses)}</td>
    <td data-label="State">${stateOf(one)}</td>
  </tr> `;
}

function checkRow({ nodePort, namespace, name, problems }: HealthCheckNodePort): Markup {
  const find = `${nodePort} tcp ${namespace}/${name} health check`;
  return html`<tr data-find="${find}">
    <th scope="row"><code>${nodePort}</code><small>/TCP</small></th>
    <td data-label="Service">${serviceLink(namespace, name)}</td>
    <td data-label="To" colspan="4">health check of the load balancer</td>
    <td data-label="State">${stateOf({ problems })}</td>
  </tr> `;
}

function addressList(addresses: readonly string[]): Markup {
  if (addresses.length === 0) return html`<span class="tag bad">nothing</span>`;
  return html`<span class="list">${addresses.map((address) => html`<code>${address}</code> `)}</span>`;
}

function stateOf({ problems }: Pick<NodePort, 'problems'>): Markup {
  if (problems.length === 0) return html`<span class="tag good">fine</span>`;
  return html`<span class="list"
    >${problems.map(
      ({ code, message }) => html`<span class="tag ${gravity(code)}" title="${message}">${words(code)}</span> `,
    )}</span
  >`;
}

function gravity(code: NodePort['problems'][number]['code']): string {
  return code === 'outside-range' || code === 'no-local-endpoint' || code === 'no-endpoints' ? 'warn' : 'bad';
}

function words(code: string): string {
  return code.replaceAll('-', ' ');
}

function bands({ free, bands: { static: low, dynamic } }: PortTable): Markup {
  const inStatic = low === undefined ? '' : `${free.static} of ${low.first}–${low.last} (static band), `;
  return html`<p class="quiet">
    Free: ${inStatic}${free.dynamic} of ${dynamic.first}–${dynamic.last} (given out by the API server).
  </p>`;
}
