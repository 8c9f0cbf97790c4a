import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';

/** An HTTP answer: status line and headers as sent, times replaced by `T`, lengths by `N`; the body likewise. */
export interface RawAnswer {
  readonly head: readonly string[];
  readonly body: string;
}

/** What kube-proxy answered, from the corpus: `iptables-healthz`, `nftables-10249-proxyMode`, … */
export function recordedAnswer(name: string): RawAnswer {
  const text = readFileSync(join(import.meta.dirname, '..', 'corpus', 'http', `${name}.txt`), 'utf8');
  const [, head = '', ...body] = text.split('\n\n');
  return withoutTimes(head.split('\n'), body.join('\n\n'));
}

/** Asks a server on this host. */
export function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string>; host?: string } = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, host = '127.0.0.1' } = options;
    const agent = new Agent({ keepAlive: true });
    const asked = request({ host, port, path, method, headers, agent }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      answer.on('end', () => {
        agent.destroy();
        const lines = [`HTTP/${answer.httpVersion} ${String(answer.statusCode)} ${String(answer.statusMessage)}`];
        for (let i = 0; i < answer.rawHeaders.length; i += 2) {
          lines.push(`${String(answer.rawHeaders[i])}: ${String(answer.rawHeaders[i + 1])}`);
        }
        resolve(withoutTimes(lines, body));
      });
      answer.on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

function withoutTimes(head: readonly string[], body: string): RawAnswer {
  return {
    head: head.map((line) =>
      line.replace(/^Date: .* GMT$/, 'Date: T').replace(/^(Content-Length|Process-Start-Time-Unix): \d+$/, '$1: N'),
    ),
    body: body.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g, 'T'),
  };
}
