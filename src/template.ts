import Handlebars from 'handlebars/runtime.js';
import { templates } from './template.generated.ts';

export type TemplateName = keyof typeof templates;

/** A hole in a template: a final string, a yes or no, or a list of contexts. Nothing is formatted in a template. */
export type ContextValue = string | boolean | readonly string[] | readonly Context[] | Context;

// An index signature would demand one on every context interface, so the check is a mapped type at the call.
// eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style, @typescript-eslint/no-empty-object-type
export interface Context {}

const engine = Handlebars.create();
const renderers = new Map<string, Handlebars.TemplateDelegate>();

/** Renders a template from `templates/`; the only place that knows Handlebars. Throws when a value is missing. */
export function renderTemplate(name: TemplateName, context: Context): string {
  let renderer = renderers.get(name);
  if (renderer === undefined) {
    renderer = engine.template(templates[name]);
    renderers.set(name, renderer);
  }
  return renderer(context);
}
