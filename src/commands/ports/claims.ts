import type { Protocol } from '../../model/model.ts';
import { isPort, isProtocol } from '../../model/unresolved-port.ts';
import type { Service } from '../../source/objects.ts';

/** A number that a Service holds, or asks for, on every node. */
export interface Claim {
  readonly namespace: string;
  readonly name: string;
  readonly type: string;
  /** Empty for the single unnamed port. */
  readonly portName: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
  readonly nodePort: number;
  /** For load balancers that ask which nodes have endpoints; no traffic of the Service. */
  readonly isHealthCheck: boolean;
}

/** The node ports of a Service, and its health check node port. */
export function claimsOf({ metadata, spec }: Service): readonly Claim[] {
  const shared = { namespace: metadata.namespace ?? '', name: metadata.name, type: spec.type ?? 'ClusterIP' };
  const claims = (spec.ports ?? []).flatMap((one): Claim[] => {
    const { name: portName = '', protocol = 'TCP', port, targetPort = port, nodePort = 0 } = one;
    if (!isPort(nodePort) || !isProtocol(protocol)) return [];
    return [{ ...shared, portName, protocol, port, targetPort, nodePort, isHealthCheck: false }];
  });
  const { healthCheckNodePort: check = 0 } = spec;
  if (!isPort(check)) return claims;
  const ofCheck = { portName: '', protocol: 'TCP', port: check, targetPort: check, nodePort: check } as const;
  return [...claims, { ...shared, ...ofCheck, isHealthCheck: true }];
}
