import type { ProxyModel, ServicePort } from '../model/model.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { Backend } from './backend.ts';

/** Fewer service ports than this are written in one go before anybody notices. */
const manyPorts = 500;
/** What a kernel holds that has fewer objects of ours than this is no more than a frame. */
const fewObjects = 100;

/**
 * The models to make true one after the other on a node that has no rules yet, each a part of the next: first what
 * the cluster itself needs to work, then what already has endpoints, then all.
 */
export function coldStartStages(model: ProxyModel, live: Ruleset): readonly ProxyModel[] {
  if (model.servicePorts.length < manyPorts || hasMore(live, fewObjects)) return [model];
  const wanted = model.servicePorts.filter((port) => port.hasEndpoints);
  const first = wanted.filter(isOfCluster);
  const sizes = new Set([0, model.servicePorts.length]);
  const stages = [first, wanted].filter((servicePorts) => {
    const isNew = !sizes.has(servicePorts.length);
    sizes.add(servicePorts.length);
    return isNew;
  });
  return [...stages.map((servicePorts) => ({ ...model, servicePorts })), model];
}

/** So many service ports render in a few ten milliseconds. */
const piece = 500;

/**
 * Renders a large model in pieces, and lets others have their turn in between: a backend remembers what it made of a
 * service port, so that the whole costs little afterwards.
 */
export async function renderInPieces(backend: Pick<Backend, 'desired'>, model: ProxyModel): Promise<void> {
  if (model.servicePorts.length < manyPorts) return;
  for (let start = 0; start < model.servicePorts.length; start += piece) {
    backend.desired({ ...model, servicePorts: model.servicePorts.slice(start, start + piece) });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function hasMore({ parts }: Ruleset, count: number): boolean {
  let owned = 0;
  for (const part of parts) {
    for (const { isOwned, kind, lines } of part) {
      if (isOwned) owned += kind === 'chain' ? 1 : lines.length;
      if (owned > count) return true;
    }
  }
  return false;
}

/** The API server and what runs for all, DNS among it. */
function isOfCluster({ namespace, name }: ServicePort): boolean {
  return namespace === 'kube-system' || (namespace === 'default' && name === 'kubernetes');
}
