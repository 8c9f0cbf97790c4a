import type { IPFamily } from '../source/objects.ts';
import { isReady } from './health.ts';
import type { HealthReport } from './health.ts';
import { jsonAnswer } from './http-server.ts';
import type { Answer } from './http-server.ts';
import { rfc3339 } from './timestamp.ts';

const zeroTime = '0001-01-01T00:00:00Z';

/** `/healthz`: whether load balancers should send traffic to this node. */
export function healthzAnswer(report: HealthReport): Answer {
  return healthAnswer(report, report.isHealthy && report.isNodeEligible, { nodeEligible: report.isNodeEligible });
}

/** `/livez`: whether requested syncs get done, whatever becomes of the node. */
export function livezAnswer(report: HealthReport): Answer {
  return healthAnswer(report, report.isHealthy, {});
}

function healthAnswer(report: HealthReport, isOk: boolean, extra: { readonly nodeEligible?: boolean }): Answer {
  const now = rfc3339(report.at);
  const status = [...report.families].map(([family, { lastUpdated, isHealthy }]): [IPFamily, object] => [
    family,
    { lastUpdated: rfc3339(lastUpdated), healthy: isHealthy },
  ]);
  return jsonAnswer(isOk ? 200 : 503, {
    lastUpdated: isOk ? now : newestUpdate(report),
    currentTime: now,
    ...extra,
    healthy: report.isHealthy,
    ...(status.length > 0 && { status: Object.fromEntries(status) }),
  });
}

function newestUpdate(report: HealthReport): string {
  const times = [...report.families.values()].map((family) => family.lastUpdated.getTime());
  return times.length === 0 ? zeroTime : rfc3339(new Date(Math.max(...times)));
}

/** `/readyz`: whether the desired rules were seen in the kernel, per family, and if not, why. */
export function readyzAnswer(report: HealthReport): Answer {
  const status = [...report.families].map(([family, { verified, notReady }]): [IPFamily, object] => [
    family,
    {
      ready: notReady === undefined,
      ...(verified !== undefined && { verified: rfc3339(verified) }),
      ...(notReady !== undefined && { reason: notReady }),
    },
  ]);
  return jsonAnswer(isReady(report) ? 200 : 503, {
    ready: isReady(report),
    currentTime: rfc3339(report.at),
    ...(status.length === 0
      ? { reason: 'waiting for the first complete lists' }
      : { status: Object.fromEntries(status) }),
  });
}
