import { addressAndPort } from '../../source/address.ts';
import type { Answer } from '../explain/answer.ts';
import { busyLines, pathOf } from '../explain/path.ts';
import type { PathLine } from '../explain/path.ts';
import { leftOutWords, probabilityText, seenText, verdictWords } from '../explain/text.ts';
import type { WayReport } from './data.ts';
import { html, when } from './markup.ts';
import type { Markup } from './markup.ts';

/** Whether each packet's path is shown, or those of packets that reach no endpoint. */
export type ShownPaths = 'all' | 'undelivered';

/** What becomes of packets to one address: a word for each kind of client, inside the path of each. */
export function wayDetails({ way, to, answers }: WayReport, paths: ShownPaths): Markup {
  return html`<details class="way">
    <summary>
      <span class="name">${way} <code>${to}</code></span
      ><span class="end">${answers.map(verdictTag)}</span>
    </summary>
    ${answers.map((answer) => answerBlock(answer, paths))}
  </details> `;
}

function verdictTag({ client, outcome }: Answer): Markup {
  const isMixed = outcome.others.length > 0;
  const kind = isMixed ? 'warn' : verdictKinds[outcome.verdict];
  return html`<span class="tag ${kind}"
    >${clientNames[client.kind]}: ${verdictNames[outcome.verdict]}${isMixed ? ', not always' : ''}</span
  > `;
}

const clientNames = { pod: 'pod', node: 'this node', outside: 'outside' } as const;
const verdictNames = { endpoint: 'delivered', reject: 'refused', drop: 'dropped', host: 'node itself', pass: 'passes' };
const verdictKinds = { endpoint: 'good', reject: 'bad', drop: 'bad', host: 'warn', pass: 'warn' };

function answerBlock(answer: Answer, paths: ShownPaths): Markup {
  const { client, outcome, reasons, leftOut } = answer;
  const isDelivered = outcome.verdict === 'endpoint' && outcome.others.length === 0;
  return html`<div class="answer">
    <h4>From ${clientNames[client.kind]}, <code>${client.address.text}</code>: ${verdictWords[outcome.verdict]}</h4>
    <ul>
      ${reachedLines(answer)}${outcome.others.map(
        ({ verdict, probability }) => html`<li>but ${probabilityText(probability)}: ${verdictWords[verdict]}</li>`,
      )}${when(outcome.affinity, () => html`<li>once chosen, an endpoint stays with this client</li>`)}${when(
        outcome.uncertain,
        () => html`<li>a rule on the way could not be understood, and may stop it</li>`,
      )}${reasons.map((reason) => html`<li>because ${reason}</li>`)}${leftOut.map(
        ({ endpoint, why }) => html`<li>left out: <code>${endpoint.key}</code>, ${leftOutWords[why]}</li>`,
      )}
    </ul>
    ${when(paths === 'all' || !isDelivered, () => path(busyLines(pathOf(outcome))))}
  </div> `;
}

/** More endpoints than these are only counted. */
const maxReached = 8;

function reachedLines(answer: Answer): Markup {
  const { endpoints } = answer.outcome;
  const rest = endpoints.length - maxReached;
  return html`${endpoints
    .slice(0, maxReached)
    .map(
      (one) =>
        html`<li>
          <code>${addressAndPort(one.address, one.port)}</code> ${probabilityText(one.probability)},
          ${seenText(one, answer)}
        </li>`,
    )}${when(rest > 0, () => html`<li>and ${rest} more endpoints</li>`)}`;
}

/** A path through hundreds of endpoints is cut; its beginning and end tell all. */
const maxPath = 60;

function path(lines: readonly PathLine[]): Markup {
  if (lines.length === 0) return html`<p class="quiet">No rule takes notice of it.</p>`;
  const cut = lines.length - maxPath;
  if (cut <= 0)
    return html`<ol class="path">
      ${lines.map(pathItem)}
    </ol>`;
  const [start, end] = [lines.slice(0, maxPath / 2), lines.slice(-maxPath / 2)];
  return html`<ol class="path">
    ${start.map(pathItem)}
    <li class="hook">… ${cut} lines alike …</li>
    ${end.map(pathItem)}
  </ol>`;
}

function pathItem(line: PathLine): Markup {
  if (line.kind === 'hook') return html`<li class="hook">${line.hook}</li>`;
  if (line.kind === 'afterwards') return html`<li class="hook">afterwards, to ${line.ends.join(' ')}</li>`;
  const { depth, chance, place, meaning, rule } = line;
  return html`<li class="d${Math.min(depth, 4)}">
    ${when(chance !== undefined, () => html`<b>${probabilityText(chance ?? 1)}</b> `)}<code>${place}</code>
    ${meaning}<code class="rule">${rule}</code>
  </li>`;
}
