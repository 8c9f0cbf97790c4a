import { healthzAnswer, livezAnswer, readyzAnswer } from './health-answers.ts';
import type { HealthReport } from './health.ts';
import { notFound } from './http-server.ts';
import type { Handler } from './http-server.ts';

export interface HealthPathsOptions {
  readonly report: () => HealthReport;
  /** Called with the path and the status code of each answer about health. */
  readonly onAnswer: (path: '/healthz' | '/livez', status: number) => void;
}

/** What `healthzBindAddress` serves: `/healthz` and `/livez` as kube-proxy does, and `/readyz`. */
export function healthPaths({ report, onAnswer }: HealthPathsOptions): Handler {
  return ({ path }) => {
    if (path === '/readyz') return readyzAnswer(report());
    if (path !== '/healthz' && path !== '/livez') return notFound;
    const answer = path === '/healthz' ? healthzAnswer(report()) : livezAnswer(report());
    onAnswer(path, answer.status);
    return answer;
  };
}
