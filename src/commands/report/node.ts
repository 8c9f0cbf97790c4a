import type { FamilyDifference, SharedChange } from '../diff/difference.ts';
import type { Finding } from '../doctor/finding.ts';
import { html, when } from './markup.ts';
import type { Markup } from './markup.ts';

/** What was found on the node; what needs attention stands among the concerns, the rest is told here. */
export function nodeSection(findings: readonly Finding[]): Markup {
  const good = findings.filter(({ level }) => level === 'ok');
  return html`<section id="node" aria-labelledby="node-h">
    <h2 id="node-h">This node <span class="n">${findings.length}</span></h2>
    <p class="quiet">
      ${findings.length - good.length} of ${findings.length} checks found something, see above. The others:
    </p>
    <table class="checks">
      <thead>
        <tr>
          <th scope="col">Check</th>
          <th scope="col">Seen</th>
        </tr>
      </thead>
      <tbody>
        ${good.map(
          ({ code, what, means }) =>
            html`<tr>
              <th scope="row"><span class="dot good">${code}</span></th>
              <td>${what}${when(means !== 'as it should be', () => html`<small>${means}</small>`)}</td>
            </tr> `,
        )}
      </tbody>
    </table>
  </section>`;
}

/** How the kernel's rules differ from what they should be. */
export function rulesSection(families: readonly FamilyDifference[]): Markup {
  const differing = families.filter(
    ({ services, shared, leftovers }) => services.length + shared.length + leftovers.length > 0,
  );
  return html`<section id="rules" aria-labelledby="rules-h">
    <h2 id="rules-h">Live rules</h2>
    ${differing.map(familyBlock)}${when(differing.length === 0, () => html`<p><span class="tag good">same</span> The kernel holds what it should, in every family looked at.</p>`)}
  </section>`;
}

function familyBlock({ family, services, shared, leftovers }: FamilyDifference): Markup {
  return html`<h3>${family}</h3>
    ${services.map(({ namespace, name, ports, changes }) => changesDetails(`Service ${namespace}/${name}`, ports.join(', ') || 'no longer served', changes))}${when(
      shared.length > 0,
      () => changesDetails('shared by all Services', '', shared),
    )}${when(
      leftovers.length > 0,
      () =>
        html`<details class="card">
          <summary>
            <span class="name">Left over from another mode or variant</span
            ><span class="end"><span class="tag warn">${leftovers.length}</span></span>
          </summary>
          <ul class="body">
            ${leftovers.slice(0, maxChanges).map((object) => html`<li><code>${object}</code></li>`)}
          </ul>
        </details>`,
    )}`;
}

/** Objects shown of one Service or of what is shared; `diff` shows all. */
const maxChanges = 100;

function changesDetails(title: string, more: string, changes: readonly SharedChange[]): Markup {
  return html`<details class="card">
    <summary>
      <span class="name">${title}</span><span class="facts quiet">${more}</span
      ><span class="end"><span class="tag bad">${changes.length}</span></span>
    </summary>
    <div class="body">
      ${changes
        .slice(0, maxChanges)
        .map(
          changeBlock,
        )}${when(changes.length > maxChanges, () => html`<p class="quiet">and ${changes.length - maxChanges} more: portwright diff</p>`)}
    </div>
  </details> `;
}

const signs = { add: '+', change: '~', delete: '−' } as const;

/** Lines on both sides of a rewritten chain are no change. */
function changeBlock({ object, kind, before, after }: SharedChange): Markup {
  const removed = before.filter((line) => !after.includes(line));
  const added = after.filter((line) => !before.includes(line));
  return html`<p class="change"><code>${signs[kind]} ${object}</code></p>
    <pre>
${removed.map((line) => html`<del>- ${line}</del> `)}${added.map((line) => html`<ins>+ ${line}</ins> `)}</pre>`;
}
