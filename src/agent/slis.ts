import { plainAnswer } from './http-server.ts';
import type { Answer } from './http-server.ts';

/** `/metrics/slis`: how often the health check of the metrics server was asked for. */
export interface Slis {
  /** The check was asked for, and passed. */
  readonly passed: () => void;
  /** DELETE starts the count anew. */
  readonly answer: (method: string) => Answer;
}

/** Counts from now on. */
export function createSlis(): Slis {
  let count = 0;
  return {
    passed: () => {
      count++;
    },
    answer: (method) => {
      if (method !== 'DELETE') return exposition(count);
      count = 0;
      return plainAnswer(200, 'metrics reset\n');
    },
  };
}

function exposition(count: number): Answer {
  const lines =
    count === 0
      ? []
      : [
          '# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.',
          '# TYPE kubernetes_healthcheck gauge',
          'kubernetes_healthcheck{name="ping",type="healthz"} 1',
          '# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.',
          '# TYPE kubernetes_healthchecks_total counter',
          `kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} ${count}`,
        ];
  return {
    status: 200,
    headers: { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores' },
    body: lines.map((line) => `${line}\n`).join(''),
  };
}
