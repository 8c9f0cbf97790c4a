import { addressWithNumber } from './address.ts';
import { isHeadless, needsHealthCheckPort, wantsNodePorts } from './admission/service-defaults.ts';
import { nameOf } from './allocation.ts';
import type { Holder, Pools, Refusal } from './allocation.ts';
import type { Choice, Pool } from './allocation-pool.ts';
import type { IPFamily, Service, ServicePortSpec } from './objects.ts';
import type { Warning } from './warning.ts';

/**
 * Chooses what a new Service left to the server, from its identity. To be called for one Service after the other in
 * an order that does not depend on the input's, when all that is asked for has been taken.
 */
export function chooseRest(
  service: Service,
  place: Holder['place'],
  pools: Pools,
): { readonly service: Service; readonly warnings: readonly Warning[] } | Refusal {
  const chooser = createChooser(service, place);
  const { spec } = service;
  const needsAddresses = spec.type !== 'ExternalName' && !isHeadless(spec);
  const clusterIPs = (needsAddresses ? (spec.ipFamilies ?? []) : []).map((family, index) => {
    const pool = pools.clusterIPs.get(family as IPFamily)?.pool;
    const show = (value: bigint): string => addressWithNumber(value, family as IPFamily);
    return spec.clusterIPs?.[index] ?? (pool && chooser.choose(pool, family, `spec.clusterIPs[${index}]`, show));
  });
  if (clusterIPs.includes(undefined)) return exhausted('failed to allocate a serviceIP: range is full');

  const nodePort = (identity: string, field: string): number | undefined => {
    const text = chooser.choose(pools.nodePorts, identity, field, String);
    return text === undefined ? undefined : Number(text);
  };
  const ports = wantsNodePorts(spec) ? portsWithNodePorts(spec.ports ?? [], nodePort) : spec.ports;
  if (ports === undefined && spec.ports !== undefined) return exhausted('failed to allocate a nodePort: range is full');
  const wantsHealthCheckPort = needsHealthCheckPort(spec) && spec.healthCheckNodePort === undefined;
  const healthCheckNodePort = wantsHealthCheckPort
    ? nodePort('healthCheckNodePort', 'spec.healthCheckNodePort')
    : spec.healthCheckNodePort;
  if (wantsHealthCheckPort && healthCheckNodePort === undefined) {
    return exhausted('failed to allocate a HealthCheck NodePort 0: range is full');
  }
  const chosen = {
    ...spec,
    ...(clusterIPs.length === 0 ? {} : { clusterIP: clusterIPs[0] ?? '', clusterIPs: clusterIPs as string[] }),
    ...(ports === undefined ? {} : { ports }),
    ...(healthCheckNodePort === undefined ? {} : { healthCheckNodePort }),
  };
  return { service: { ...service, spec: chosen }, warnings: chooser.warnings };
}

function exhausted(message: string): Refusal {
  return { message: `Internal error occurred: ${message}`, causes: [] };
}

/** Undefined when the range is full. */
function portsWithNodePorts(
  ports: readonly ServicePortSpec[],
  choose: (identity: string, field: string) => number | undefined,
): readonly ServicePortSpec[] | undefined {
  const byNumber = new Map<number, number>();
  const settled: ServicePortSpec[] = [];
  for (const [index, port] of ports.entries()) {
    const identity = `${port.port}/${port.protocol ?? 'TCP'}`;
    const nodePort = port.nodePort ?? byNumber.get(port.port) ?? choose(identity, `spec.ports[${index}].nodePort`);
    if (nodePort === undefined) return undefined;
    byNumber.set(port.port, nodePort);
    settled.push({ ...port, nodePort });
  }
  return settled;
}

interface Chooser {
  readonly warnings: readonly Warning[];
  readonly choose: (
    pool: Pool<Holder>,
    what: string,
    field: string,
    show: (value: bigint) => string,
  ) => string | undefined;
}

function createChooser(service: Service, place: Holder['place']): Chooser {
  const warnings: Warning[] = [];
  const name = nameOf(service);
  return {
    warnings,
    choose(pool, what, field, show) {
      const choice = pool.choose(`${name}/${what}`, { service, place });
      if (choice === undefined) return undefined;
      if (choice.instead) warnings.push(movedWarning(name, field, choice, show));
      return show(choice.value);
    },
  };
}

function movedWarning(
  name: string,
  field: string,
  { value, instead }: Choice<Holder>,
  show: (value: bigint) => string,
): Warning {
  const holder = instead ? nameOf(instead.heldBy.service) : '';
  const message = `${show(instead?.of ?? value)} would be chosen, but Service ${holder} has it; ${show(value)} is chosen instead`;
  return { object: `Service ${name}`, field, reason: 'AllocationMoved', message: `${message}. Set ${field} to pin it` };
}
