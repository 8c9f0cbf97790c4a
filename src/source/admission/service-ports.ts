import type { ServicePortSpec, ServiceSpec } from '../objects.ts';
import type { Cause } from '../problem.ts';
import { duplicate, forbidden, invalid, notSupported, required } from './field-error.ts';
import { dnsLabelErrors, portNameErrors, portNumberErrors, qualifiedNameErrors } from './names.ts';

export const protocols = ['SCTP', 'TCP', 'UDP'];

/** What the API server checks about each port of a Service on its own. */
export function portCauses(ports: readonly ServicePortSpec[]): Cause[] {
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const field = `spec.ports[${index}]`;
    const { protocol = '', appProtocol } = port;
    return [
      ...nameCauses(port, `${field}.name`, names, ports.length > 1),
      ...portNumberErrors(port.port).map((error) => invalid(`${field}.port`, port.port, error)),
      ...(protocols.includes(protocol) ? [] : [notSupported(`${field}.protocol`, protocol, protocols)]),
      ...targetPortCauses(port.targetPort ?? 0, `${field}.targetPort`),
      ...(appProtocol === undefined ? [] : qualifiedNameErrors(appProtocol)).map((error) =>
        invalid(`${field}.appProtocol`, appProtocol, error),
      ),
    ];
  });
}

/** What it checks about the ports of a Service among each other. */
export function portSetCauses({ type, ports = [] }: ServiceSpec): Cause[] {
  const nodePorts = new Set<string>();
  const numbers = new Set<string>();
  const unwanted = ports.flatMap(({ nodePort }, index) =>
    type !== 'ClusterIP' || nodePort === undefined
      ? []
      : [forbidden(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'")],
  );
  const repeatedNodePorts = ports.flatMap(({ protocol, nodePort }, index) =>
    nodePort === undefined || isNew(nodePorts, `${nodePort}/${protocol ?? ''}`)
      ? []
      : [duplicate(`spec.ports[${index}].nodePort`, nodePort)],
  );
  const repeated = ports.flatMap(({ protocol = '', port }, index) =>
    isNew(numbers, `${port}/${protocol}`) ? [] : [duplicate(`spec.ports[${index}]`, portKey(protocol, port))],
  );
  return [...unwanted, ...repeatedNodePorts, ...repeated];
}

function nameCauses({ name = '' }: ServicePortSpec, field: string, seen: Set<string>, isRequired: boolean): Cause[] {
  if (name === '') return isRequired ? [required(field)] : [];
  return [
    ...dnsLabelErrors(name).map((error) => invalid(field, name, error)),
    ...(isNew(seen, name) ? [] : [duplicate(field, name)]),
  ];
}

function targetPortCauses(targetPort: number | string, field: string): Cause[] {
  const errors = typeof targetPort === 'number' ? portNumberErrors(targetPort) : portNameErrors(targetPort);
  return errors.map((error) => invalid(field, targetPort, error));
}

function isNew(seen: Set<string>, key: string): boolean {
  const size = seen.size;
  return seen.add(key).size > size;
}

/** The server shows the key it compares: its own struct with all other fields empty. */
function portKey(protocol: string, port: number): object {
  return { Name: '', Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
}
