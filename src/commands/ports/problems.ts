import { isInTheWay, listenerText } from '../../agent/port-listener.ts';
import { holds, isEphemeral } from '../../kernel/port-ranges.ts';
import type { PortRange } from '../../kernel/port-ranges.ts';
import { servicePortName } from '../../model/model.ts';
import type { ProxyModel, ServicePort } from '../../model/model.ts';
import type { Claim } from './claims.ts';
import { sameName } from './conflicts.ts';
import type { Conflict } from './conflicts.ts';
import type { HostPorts } from './host.ts';

/** Something that keeps a node port from working as its owner expects. */
export interface PortProblem {
  readonly code:
    | 'node-port-conflict'
    | 'host-listener'
    | 'ephemeral-range'
    | 'outside-range'
    | 'no-endpoints'
    | 'no-local-endpoint'
    | 'unreachable';
  readonly message: string;
  /** What to do. */
  readonly hint: string;
}

/** What a node port is judged by. */
export interface Surroundings {
  readonly served: readonly ServicePort[];
  /** Where the port answers. */
  readonly addresses: readonly string[];
  readonly models: readonly ProxyModel[];
  readonly conflicts: readonly Conflict[];
  readonly nodePortRange: PortRange;
  readonly host?: HostPorts;
  /** A port that could be taken instead. */
  readonly freePort?: number;
}

/** Everything that is wrong with one node port, what makes it useless first. */
export function portProblems(claim: Claim, around: Surroundings): readonly PortProblem[] {
  return [
    ...conflictProblems(claim, around),
    ...listenerProblems(claim, around),
    ...ephemeralProblems(claim, around),
    ...rangeProblems(claim, around),
    ...(claim.isHealthCheck ? [] : [...endpointProblems(claim, around), ...addressProblems(claim, around)]),
  ];
}

/** Whether two parties want one port, so that one of them does not get what it expects. */
export function isConflict({ code }: PortProblem): boolean {
  return code === 'node-port-conflict' || code === 'host-listener' || code === 'ephemeral-range';
}

function conflictProblems(claim: Claim, { conflicts, freePort }: Surroundings): readonly PortProblem[] {
  const conflict = conflicts.find((one) => one.nodePort === claim.nodePort && concerns(one, claim));
  if (conflict === undefined) return [];
  const hint = `give one of them another node port${freePort === undefined ? '' : `, for instance ${freePort}`}`;
  const own = conflict.refused.find((one) => sameName(one, claim));
  if (own !== undefined && !sameName(conflict.holder, claim)) {
    return [{ code: 'node-port-conflict', message: own.message, hint }];
  }
  const others = conflict.refused.map(({ namespace, name }) => `Service ${namespace}/${name}`).join(', ');
  return [{ code: 'node-port-conflict', message: `${others} asks for it too, and does not get it`, hint }];
}

function concerns({ holder, refused, protocol }: Conflict, claim: Claim): boolean {
  return protocol === claim.protocol && [holder, ...refused].some((one) => sameName(one, claim));
}

function listenerProblems(claim: Claim, { host, addresses, freePort }: Surroundings): readonly PortProblem[] {
  const found = host?.listeners.filter((one) => isInTheWay(one, claim, addresses)) ?? [];
  const instead = freePort === undefined ? '' : ` (${freePort} is free)`;
  return found.map((one): PortProblem => {
    const message = claim.isHealthCheck
      ? `${listenerText(one)}, so health checks of the load balancer are not answered by the proxy`
      : `${listenerText(one)}: connections to the port go to the Service, and never reach it`;
    return { code: 'host-listener', message, hint: `move the program, or the Service, to another port${instead}` };
  });
}

function ephemeralProblems({ nodePort }: Claim, { host, nodePortRange }: Surroundings): readonly PortProblem[] {
  const ephemeral = host?.ephemeral;
  if (ephemeral === undefined || !isEphemeral(ephemeral, nodePort)) return [];
  const { first, last } = nodePortRange;
  const reserve = holds(nodePortRange, nodePort) ? `${first}-${last}` : String(nodePort);
  return [
    {
      code: 'ephemeral-range',
      message: `this host takes ports ${ephemeral.first}-${ephemeral.last} for its own outgoing connections; answers to one that got ${nodePort} go astray`,
      hint: `sysctl -w net.ipv4.ip_local_reserved_ports=${reserve} (add it to what is reserved already)`,
    },
  ];
}

function rangeProblems({ nodePort }: Claim, { nodePortRange }: Surroundings): readonly PortProblem[] {
  if (holds(nodePortRange, nodePort)) return [];
  const range = `${nodePortRange.first}-${nodePortRange.last}`;
  return [
    {
      code: 'outside-range',
      message: `${nodePort} is outside the node port range ${range}; it may hide a port the node itself needs`,
      hint: 'give the range of your API server with --service-node-port-range, or the Service a port inside it',
    },
  ];
}

function endpointProblems(claim: Claim, { served }: Surroundings): readonly PortProblem[] {
  return served.flatMap((one): PortProblem[] => {
    const family = served.length > 1 ? ` ${one.family}` : '';
    const all = one.allEndpoints.length;
    if (one.externalVerdict === 'reject') {
      const seen = all === 0 ? `there is no${family} endpoint` : `none of its ${all}${family} endpoints is ready`;
      const hint =
        all === 0
          ? `does the selector match a pod that runs? kubectl get pods,endpointslices -n ${claim.namespace}`
          : `why are the pods not ready? kubectl describe pods -n ${claim.namespace}`;
      return [{ code: 'no-endpoints', message: `${seen}: connections are refused`, hint }];
    }
    if (one.externalVerdict !== 'drop') return [];
    const message = `externalTrafficPolicy is Local and no usable${family} endpoint is on this node: packets from outside are dropped`;
    return [
      {
        code: 'no-local-endpoint',
        message,
        hint: `ask a node that runs ${claim.name}, or set externalTrafficPolicy: Cluster`,
      },
    ];
  });
}

function addressProblems(claim: Claim, { served, addresses, models }: Surroundings): readonly PortProblem[] {
  if (served.length === 0) {
    const message = `Service ${servicePortName(claim)} is not served on this node`;
    return [{ code: 'unreachable', message, hint: 'the warnings say why; it may have no cluster IP' }];
  }
  const holder = served.find(({ nodePort }) => nodePort === claim.nodePort);
  const isListed = models.some((model) => model.family === holder?.family && model.nodePortAddresses !== 'all');
  if (holder === undefined || addresses.length > 0 || !isListed) return [];
  return [
    {
      code: 'unreachable',
      message: 'no address of this node is among the node port addresses: the port answers nowhere',
      hint: 'look at --nodeport-addresses (nodePortAddresses in the configuration)',
    },
  ];
}
