import { createHash } from 'node:crypto';
import { version } from '../../version.ts';
import { counted } from '../output/words.ts';
import { concernList } from './concern-list.ts';
import type { Report } from './data.ts';
import { html, verbatim, when } from './markup.ts';
import type { Markup } from './markup.ts';
import { nodeSection, rulesSection } from './node.ts';
import { portsSection } from './ports.ts';
import { script } from './script.ts';
import { servicesSection } from './services.ts';
import { style } from './style.ts';

/** One page with all it needs inside; nothing in it reaches out, and its policy forbids it to. */
export function reportPage(report: Report): string {
  const title = `Portwright: node ${report.nodeName}`;
  const { findings, differences } = report;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        ${verbatim(`<style>${style}</style>`)}
      </head>
      <body>
        <a class="skip" href="#content">To the content</a>
        ${pageHead(report)}${toolBar(report)}
        <main id="content" class="wrap">
          ${tiles(report)}${concernSection(report)}${portsSection(report.table)}${servicesSection(report.services)}${findings === undefined ? html`` : nodeSection(findings)}${differences === undefined ? html`` : rulesSection(differences)}
        </main>
        <footer>
          <div class="wrap">
            Made by portwright ${version} on ${report.time}. Packets were walked through the ${report.rules} rules.
          </div>
        </footer>
        ${verbatim(`<script>${script}</script>`)}
      </body>
    </html> `.markup;
}

/** Nothing but our own style and script, word for word. */
const policy = [
  "default-src 'none'",
  `style-src ${hashOf(style)}`,
  `script-src ${hashOf(script)}`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

function pageHead({ nodeName, mode, families, rules, time }: Report): Markup {
  const at = time.replace('T', ' ').replace(/:\d\d(?:\.\d+)?Z$/, ' UTC');
  return html`<header>
    <div class="wrap">
      <div>
        <h1>Node ${nodeName}</h1>
        <p>${mode} mode, ${families.join(' and ')}, ${rules} rules, ${at}</p>
      </div>
      <button type="button" id="theme" hidden>Dark</button>
    </div>
  </header> `;
}

function toolBar({ concerns, findings, differences }: Report): Markup {
  return html`<div class="bar" id="bar" hidden>
    <div class="wrap">
      <label class="sr" for="search">Search by name, port or address</label>
      <input
        id="search"
        type="search"
        placeholder="Name, port or address ( / )"
        autocomplete="off"
        spellcheck="false"
        aria-describedby="found"
      />
      <span id="found" role="status"></span>
      <nav aria-label="Sections">
        ${when(concerns.length > 0, () => html`<a href="#attention">Attention</a>`)}<a href="#ports">Ports</a
        ><a href="#services">Services</a
        >${when(findings !== undefined, () => html`<a href="#node">Node</a>`)}${when(differences !== undefined, () => html`<a href="#rules">Rules</a>`)}
      </nav>
    </div>
  </div> `;
}

function tiles({ services, table, concerns }: Report): Markup {
  const sum = (of: 'ready' | 'total') => services.reduce((count, { endpoints }) => count + endpoints[of], 0);
  const [ready, total] = [sum('ready'), sum('total')];
  const problems = concerns.filter(({ level }) => level === 'problem').length;
  const warnings = concerns.length - problems;
  return html`<dl class="tiles">
    <div>
      <dt>${services.length === 1 ? 'Service' : 'Services'}</dt>
      <dd>${services.length}</dd>
    </div>
    <div>
      <dt>${table.nodePorts.length === 1 ? 'node port' : 'node ports'}</dt>
      <dd>${table.nodePorts.length}</dd>
    </div>
    <div>
      <dt>endpoints ready</dt>
      <dd class="${ready === total ? 'good' : 'warn'}">${ready} of ${total}</dd>
    </div>
    <div>
      <dt>${problems === 1 ? 'problem' : 'problems'}</dt>
      <dd class="${problems === 0 ? 'good' : 'bad'}">${problems}</dd>
    </div>
    <div>
      <dt>${warnings === 1 ? 'warning' : 'warnings'}</dt>
      <dd class="${warnings === 0 ? 'good' : 'warn'}">${warnings}</dd>
    </div>
  </dl> `;
}

/** So many concerns are read; the rest stands behind a click. */
const maxShown = 8;

function concernSection({ concerns, unseen, findings }: Report): Markup {
  const [first, rest] = [concerns.slice(0, maxShown), concerns.slice(maxShown)];
  return html`<section id="attention" aria-labelledby="attention-h">
    <h2 id="attention-h">Needs attention <span class="n">${concerns.length}</span></h2>
    ${concernList(first, 'alone')}${when(
      rest.length > 0,
      () =>
        html`<details class="more">
          <summary>${counted(rest.length, 'more concern')}</summary>
          ${concernList(rest, 'alone')}
        </details>`,
    )}${when(concerns.length === 0, () => html`<p><span class="tag good">fine</span> Nothing stands out.</p>`)}${unseen.map(
      (text) => html`<p class="quiet">${text}</p>`,
    )}${when(findings === undefined, () => html`<p class="quiet note">The node itself was not looked at: run this with --live on it.</p>`)}
  </section> `;
}
