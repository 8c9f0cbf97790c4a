import type { Concern } from './concerns.ts';
import { html, when } from './markup.ts';
import type { Markup } from './markup.ts';

/** Concerns as a list; `within` a Service its name is not repeated. Nothing for none. */
export function concernList(concerns: readonly Concern[], place: 'alone' | 'within'): Markup {
  if (concerns.length === 0) return html``;
  return html`<ul class="concerns">
    ${concerns.map((one) => concernItem(one, place))}
  </ul>`;
}

function concernItem(concern: Concern, place: 'alone' | 'within'): Markup {
  const { level, about, what, means, show } = concern;
  const find = place === 'alone' ? html` data-find="${`${about} ${what}`.toLowerCase()}"` : html``;
  return html`<li class="${level === 'problem' ? 'bad' : 'warn'}" ${find}>
    <p><span class="tag ${level === 'problem' ? 'bad' : 'warn'}">${level}</span> <b>${about}</b></p>
    <p>${what}</p>
    ${when(
      means !== undefined,
      () => html`<p class="quiet">${means ?? ''}</p>`,
    )}${when(concern.do !== undefined, () => html`<p><span class="label">Do</span> ${concern.do ?? ''}</p>`)}${when(
      show !== undefined,
      () => html`<p><span class="label">See</span> <code>${show ?? ''}</code></p>`,
    )}
  </li> `;
}
