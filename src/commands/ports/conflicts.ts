import { servicePortName } from '../../model/model.ts';
import type { Protocol, ProxyModel } from '../../model/model.ts';
import type { ServiceName } from '../../ruleset/ruleset.ts';
import type { Service } from '../../source/objects.ts';
import type { Problem } from '../../source/problem.ts';
import { claimsOf } from './claims.ts';
import type { Claim } from './claims.ts';

/** Two Services, or two ports of one, that ask for the same number. */
export interface Conflict {
  readonly nodePort: number;
  readonly protocol: Protocol;
  readonly holder: ServiceName;
  readonly refused: readonly Refused[];
}

/** A Service that does not get the port. */
export interface Refused extends ServiceName {
  /** Why it does not get the port; the API server's own words where it would refuse the Service. */
  readonly message: string;
  /** Where the manifest says it: `file:line`. */
  readonly place?: string;
}

/** What the API server says of a node port that somebody has, the number before it. */
const refusal = /\b(\d{1,5}): provided port is already allocated/g;

/** Whether an object was refused for a node port and nothing else. */
export function isPortConflict({ message, causes = [] }: Problem): boolean {
  const words = causes.length === 0 ? [message] : causes.map((cause) => cause.message);
  return words.every((text) => text.match(refusal) !== null);
}

/** All conflicts, sorted by port and protocol: of refused manifests, and of Services that were stored all the same. */
export function conflictsOf(
  services: readonly Service[],
  models: readonly ProxyModel[],
  problems: readonly Problem[],
): readonly Conflict[] {
  const claims = services.flatMap(claimsOf);
  const found = new Map<string, Conflict>();
  for (const [conflict, refused] of [...refusedClaims(claims, problems), ...lostClaims(claims, models)]) {
    const key = `${conflict.nodePort}/${conflict.protocol}`;
    const known = found.get(key) ?? { ...conflict, refused: [] };
    // Both families lose the same claim.
    const isNew = !known.refused.some((one) => sameName(one, refused) && one.message === refused.message);
    found.set(key, isNew ? { ...known, refused: [...known.refused, refused] } : known);
  }
  return [...found.values()].toSorted((a, b) => a.nodePort - b.nodePort || (a.protocol < b.protocol ? -1 : 1));
}

export function sameName(left: ServiceName, right: ServiceName): boolean {
  return left.name === right.name && left.namespace === right.namespace;
}

type Loss = readonly [Omit<Conflict, 'refused'>, Refused];

function refusedClaims(claims: readonly Claim[], problems: readonly Problem[]): readonly Loss[] {
  return problems.flatMap(({ object = '', message, file, line }): Loss[] => {
    const place = line === undefined ? file : `${file}:${line}`;
    const [, namespace = '', name = ''] = /^Service (?:([^/]+)\/)?(\S+)$/.exec(object) ?? [];
    return [...message.matchAll(refusal)].map(([, text]): Loss => {
      const nodePort = Number(text);
      const holder = claims.find((claim) => claim.nodePort === nodePort);
      // Without a holder it is another port of the same Service.
      return [
        { nodePort, protocol: holder?.protocol ?? 'TCP', holder: nameOf(holder ?? { namespace, name }) },
        { namespace, name, message, place },
      ];
    });
  });
}

/** Claims of stored Services that the model gave to another one. */
function lostClaims(claims: readonly Claim[], models: readonly ProxyModel[]): readonly Loss[] {
  return models.flatMap(({ servicePorts }) => {
    const holders = new Map(servicePorts.map((one) => [`${one.nodePort ?? ''}/${one.protocol}`, one]));
    const served = new Map(servicePorts.map((one) => [`${servicePortName(one)}/${one.protocol}`, one]));
    return claims.flatMap((claim): Loss[] => {
      const { nodePort, protocol } = claim;
      const own = served.get(`${servicePortName(claim)}/${protocol}`);
      const holder = holders.get(`${nodePort}/${protocol}`);
      if (claim.isHealthCheck || own === undefined || own.nodePort === nodePort || holder === undefined) return [];
      const message = `node port ${nodePort}/${protocol} belongs to Service ${servicePortName(holder)}; ${servicePortName(claim)} is not served on it`;
      return [
        [
          { nodePort, protocol, holder: nameOf(holder) },
          { ...nameOf(claim), message },
        ],
      ];
    });
  });
}

function nameOf({ namespace, name }: ServiceName): ServiceName {
  return { namespace, name };
}
