import { html } from './markup.ts';
import type { Markup } from './markup.ts';

/** How many endpoints are ready, as a bar and in figures. */
export function healthBar({ ready, total }: { readonly ready: number; readonly total: number }): Markup {
  const kind = ready === 0 ? 'bad' : ready < total ? 'warn' : 'good';
  const share = total === 0 ? 0 : Math.round((ready / total) * 40);
  return html`<span class="health ${kind}"
    ><svg width="40" height="6" viewBox="0 0 40 6" aria-hidden="true">
      <rect class="all" width="40" height="6" rx="3" />
      <rect class="part" width="${share}" height="6" rx="3" /></svg
    >${ready}/${total}<span class="sr"> endpoints ready</span></span
  >`;
}

/** Leads to the part of the page about a Service. */
export function serviceLink(namespace: string, name: string): Markup {
  return html`<a href="#${anchorOf(namespace, name)}"><span class="ns">${namespace}/</span>${name}</a>`;
}

/** Names of Services hold letters, digits, `-` and `.`; in a link anything else is escaped. */
export function anchorOf(namespace: string, name: string): string {
  return `service/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
}
