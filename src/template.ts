import type * as HandlebarsTypes from 'handlebars';
// Its types describe the compiler; at run time only the runtime is there.
import runtime from 'handlebars/runtime.js';
import { templates } from './template.generated.ts';

export type TemplateName = keyof typeof templates;

/** The holes of a template: final strings, yes or no, and lists of such contexts. Nothing is formatted in a template. */
export type Context = Readonly<Record<string, ContextValue>>;
type ContextValue = string | boolean | readonly Context[];

const engine = (runtime as unknown as typeof HandlebarsTypes).create();
const renderers = new Map<string, HandlebarsTypes.TemplateDelegate>();

/** Renders a template from `templates/`; the only place that knows Handlebars. Throws when a value is missing. */
export function renderTemplate(name: TemplateName, context: Context): string {
  let renderer = renderers.get(name);
  if (renderer === undefined) {
    renderer = engine.template(templates[name]);
    renderers.set(name, renderer);
  }
  return renderer(context);
}
