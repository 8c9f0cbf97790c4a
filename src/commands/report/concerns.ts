import { servicePortName } from '../../model/model.ts';
import type { Problem } from '../../source/problem.ts';
import type { Warning } from '../../source/warning.ts';
import type { FamilyDifference } from '../diff/difference.ts';
import { extent } from '../diff/text.ts';
import type { Finding } from '../doctor/finding.ts';
import type { Input } from '../input/input.ts';
import { counted } from '../output/words.ts';
import { isConflict } from '../ports/problems.ts';
import type { PortProblem } from '../ports/problems.ts';
import type { PortTable } from '../ports/table.ts';

/** Something that a person should look at, wherever it was found. */
export interface Concern {
  /** `problem` loses packets, `warning` may. */
  readonly level: 'problem' | 'warning';
  /** What it is about, for people. */
  readonly about: string;
  /** The Service, `namespace/name`, when it is about one. */
  readonly service?: string;
  readonly what: string;
  readonly means?: string;
  readonly do?: string;
  /** The command that shows it. */
  readonly show?: string;
}

interface NodeSight {
  readonly findings?: readonly Finding[];
  readonly differences?: readonly FamilyDifference[];
}

/** Everything that is wrong, what loses packets first. */
export function concernsOf(input: Input, table: PortTable, { findings, differences }: NodeSight): readonly Concern[] {
  const concerns = [
    ...input.problems.map(ofRefused),
    ...table.nodePorts.flatMap(({ nodePort, protocol, namespace, name, problems }) =>
      problems.map((problem) => ofPort(problem, `${namespace}/${name}`, `node port ${nodePort}/${protocol}`)),
    ),
    ...table.healthCheckNodePorts.flatMap(({ nodePort, namespace, name, problems }) =>
      problems.map((problem) => ofPort(problem, `${namespace}/${name}`, `health check node port ${nodePort}`)),
    ),
    ...withoutEndpoints(input),
    ...input.warnings.map(ofWarning),
    ...(findings ?? []).filter(({ level }) => level !== 'ok').map(ofFinding),
    ...(differences ?? []).flatMap(ofDifference),
  ];
  return concerns.toSorted((left, right) => weight(left) - weight(right));
}

function weight({ level }: Concern): number {
  return level === 'problem' ? 0 : 1;
}

function ofRefused({ file, line, object, message, detail, hint }: Problem): Concern {
  const place = line === undefined ? file : `${file}:${line}`;
  return {
    level: 'problem',
    about: `${object ?? 'a document'} (${place})`,
    what: detail === undefined ? message : `${message}; ${detail}`,
    means: 'it is refused, and no rules are made for it',
    ...(hint === undefined ? {} : { do: hint }),
  };
}

function ofPort(problem: PortProblem, service: string, port: string): Concern {
  const isProblem = isConflict(problem) || problem.code === 'unreachable';
  const level = isProblem ? 'problem' : 'warning';
  return { level, about: `Service ${service}, ${port}`, service, what: problem.message, do: problem.hint };
}

/** Node ports without endpoints are among the problems of node ports. */
function withoutEndpoints({ models }: Input): readonly Concern[] {
  const lacking = models.flatMap(({ servicePorts }) =>
    servicePorts.filter(({ hasEndpoints, nodePort }) => !hasEndpoints && nodePort === undefined),
  );
  const byName = new Map(lacking.map((port) => [servicePortName(port), port]));
  return [...byName].map(([name, { namespace, name: service, allEndpoints }]) => ({
    level: 'warning',
    about: `Service ${name}`,
    service: `${namespace}/${service}`,
    what:
      allEndpoints.length === 0
        ? 'it has no endpoints: connections are refused'
        : `none of its ${counted(allEndpoints.length, 'endpoint')} is ready: connections are refused`,
    do: 'look at the pods that its selector names, and at their readiness',
  }));
}

function ofWarning({ object, field, message }: Warning): Concern {
  const [, service] = /^Service (\S+)$/.exec(object) ?? [];
  return {
    level: 'warning',
    about: field === '' ? object : `${object}, ${field}`,
    ...(service === undefined ? {} : { service }),
    what: message,
  };
}

function ofFinding({ code, level, what, means, do: advice, show }: Finding): Concern {
  return {
    level: level === 'problem' ? 'problem' : 'warning',
    about: `this node, ${code}`,
    what,
    means,
    do: advice,
    ...(show === undefined ? {} : { show }),
  };
}

function ofDifference(difference: FamilyDifference): readonly Concern[] {
  const { family, services, shared, leftovers } = difference;
  const of = `live rules, ${family}`;
  return [
    ...(services.length + shared.length === 0
      ? []
      : [
          {
            level: 'problem' as const,
            about: of,
            what: `not as it should be: ${extent([difference])}`,
            do: 'see below what differs; apply once, or see why the agent does not run',
            show: 'portwright diff',
          },
        ]),
    ...(leftovers.length === 0
      ? []
      : [
          {
            level: 'warning' as const,
            about: of,
            what: `${counted(leftovers.length, 'object')} left over from another mode or variant`,
            do: 'apply and run remove them; cleanup removes all',
            show: 'portwright cleanup --dry-run',
          },
        ]),
  ];
}
