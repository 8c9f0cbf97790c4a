import { byCodeUnits, placeOf } from '../source/name-order.ts';
import type { EndpointSlice, SlicesByService } from '../source/objects.ts';
import type { Warning } from '../source/warning.ts';
import { endpointsKey, serviceEndpoints } from './endpoints.ts';
import type { Endpoint, ServicePort } from './model.ts';
import type { ModelOptions } from './options.ts';
import { resolve } from './topology.ts';
import type { Location } from './topology.ts';
import type { UnresolvedPort } from './unresolved-port.ts';

/** A Service with what it may serve, and what was last made of it. */
export interface Served {
  readonly namespace: string;
  readonly name: string;
  /** `namespace/name`. */
  readonly key: string;
  readonly ports: readonly UnresolvedPort[];
  slices: readonly EndpointSlice[] | undefined;
  location: Location | undefined;
  resolved: readonly ServicePort[];
  endpointCount: number;
  warnings: readonly Warning[];
}

/** The service ports of all Services, in their order. */
export interface Resolved {
  readonly servicePorts: readonly ServicePort[];
  readonly warnings: readonly Warning[];
  readonly endpointCount: number;
}

interface Resolution extends Resolved {
  readonly served: readonly Served[];
  readonly slices: SlicesByService;
  readonly location: Location;
  /** How many service ports the Services before each of them have. */
  readonly starts: Uint32Array;
}

const noSlices: readonly EndpointSlice[] = [];
const noEndpoints: readonly Endpoint[] = [];

/** Chooses endpoints for all Services under one set of options, from snapshot to snapshot where they changed. */
export class Resolver {
  readonly #options: ModelOptions;
  #last: Resolution | undefined;

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  /** `served`: sorted by name; the same array while the Services are the same. */
  resolve(served: readonly Served[], slices: SlicesByService, location: Location): Resolved {
    const last = this.#last;
    // Nothing is built on what an exception leaves half done.
    this.#last = undefined;
    const isComparable = last?.served === served && last.location === location;
    const changed = isComparable ? changedServices(last.slices, slices) : undefined;
    const found =
      last === undefined || changed === undefined
        ? this.#each(served, slices, location)
        : this.#changed(last, slices, changed);
    this.#last = { ...found, served, slices, location };
    return this.#last;
  }

  #each(served: readonly Served[], slices: SlicesByService, location: Location) {
    const servicePorts: ServicePort[] = [];
    const starts = new Uint32Array(served.length);
    let endpointCount = 0;
    for (const [index, one] of served.entries()) {
      const own = slices.get(one.key) ?? noSlices;
      if (one.slices !== own || one.location !== location) resolveServed(one, own, location, this.#options);
      starts[index] = servicePorts.length;
      for (const port of one.resolved) servicePorts.push(port);
      endpointCount += one.endpointCount;
    }
    return { servicePorts, starts, warnings: warningsOf(served), endpointCount };
  }

  #changed({ served, location, starts, ...last }: Resolution, slices: SlicesByService, changed: readonly string[]) {
    const servicePorts = last.servicePorts.slice();
    let endpointCount = last.endpointCount;
    let isWarned = last.warnings.length > 0;
    for (const key of changed) {
      const index = indexOf(key, served);
      const one = served[index];
      if (one === undefined) continue;
      endpointCount -= one.endpointCount;
      resolveServed(one, slices.get(key) ?? noSlices, location, this.#options);
      endpointCount += one.endpointCount;
      isWarned ||= one.warnings.length > 0;
      for (const [place, port] of one.resolved.entries()) servicePorts[(starts[index] ?? 0) + place] = port;
    }
    return { servicePorts, starts, warnings: isWarned ? warningsOf(served) : last.warnings, endpointCount };
  }
}

function warningsOf(served: readonly Served[]): readonly Warning[] {
  return served.flatMap(({ warnings }) => warnings);
}

/** The Services whose slices are others now; nothing when Services came, went or moved and nobody kept account. */
function changedServices(before: SlicesByService, after: SlicesByService): readonly string[] | undefined {
  const known = after.changedSince?.(before);
  if (known !== undefined) return known;
  if (before.size !== after.size) return undefined;
  const changed: string[] = [];
  // Keys and values apart: entries would be arrays, one for each Service.
  const [keys, oldValues, newValues] = [after.keys(), before.values(), after.values()];
  for (const key of before.keys()) {
    if (keys.next().value !== key) return undefined;
    if (oldValues.next().value !== newValues.next().value) changed.push(key);
  }
  return changed;
}

/** Where the Service `namespace/name` stands; -1 when it is not served. */
function indexOf(key: string, served: readonly Served[]): number {
  const slash = key.indexOf('/');
  const place = placeOf({ namespace: key.slice(0, slash), name: key.slice(slash + 1) }, served, (one) => one);
  return served[place]?.key === key ? place : -1;
}

/** Chooses endpoints anew; service ports for which nothing comes out different stay the same objects. */
function resolveServed(one: Served, slices: readonly EndpointSlice[], location: Location, options: ModelOptions): void {
  const endpoints = serviceEndpoints(slices, options.family, options.nodeName);
  const before = one.location === location ? one.resolved : [];
  one.slices = slices;
  one.location = location;
  one.warnings = endpoints.warnings;
  one.endpointCount = 0;
  one.resolved = one.ports
    .map((port) => {
      const all = endpoints.byPort.get(endpointsKey(port.portName, port.protocol)) ?? noEndpoints;
      one.endpointCount += all.length;
      const known = before.find(({ portName, protocol }) => portName === port.portName && protocol === port.protocol);
      return known !== undefined && sameEndpoints(known.allEndpoints, all) ? known : resolve(port, all, location);
    })
    .sort((left, right) => byCodeUnits(left.portName, right.portName) || byCodeUnits(left.protocol, right.protocol));
}

/** A slice that was rewritten without a change that matters leaves the service port as it is. */
function sameEndpoints(left: readonly Endpoint[], right: readonly Endpoint[]): boolean {
  if (left === right) return true;
  return (
    left.length === right.length &&
    left.every((endpoint, index) => {
      const other = right[index];
      return other !== undefined && (endpoint === other || sameEndpoint(endpoint, other));
    })
  );
}

function sameEndpoint(left: Endpoint, right: Endpoint): boolean {
  return (
    left.key === right.key &&
    left.isLocal === right.isLocal &&
    left.isReady === right.isReady &&
    left.isServing === right.isServing &&
    left.isTerminating === right.isTerminating &&
    left.nodeName === right.nodeName &&
    left.pod === right.pod &&
    sameNames(left.zoneHints, right.zoneHints) &&
    sameNames(left.nodeHints, right.nodeHints)
  );
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index]);
}
