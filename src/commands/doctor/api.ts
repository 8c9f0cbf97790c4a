import { lookup } from 'node:dns/promises';
import { cidrContains } from '../../source/address.ts';
import type { Credentials } from '../../source/kubernetes/credentials.ts';
import { placeOfState } from '../input/place.ts';
import { fine } from './finding.ts';
import type { Finding, Sight } from './finding.ts';

const patienceMs = 5_000;

/** Whether the API server answers, and by a way that does not need our own rules. Nothing when none was named. */
export async function checkApi(sight: Sight): Promise<readonly Finding[]> {
  const { config, env } = sight;
  if (placeOfState({ filenames: [] }, config, env) === undefined) return [];
  const { loadCredentials } = await import('../../source/kubernetes/credentials.ts');
  try {
    const credentials = loadCredentials(config, { env });
    return [await wayFinding(sight, credentials), await answerFinding(credentials)];
  } catch (error) {
    return [
      {
        code: 'api-config',
        level: 'problem',
        what: (error as Error).message,
        means: 'no API server is known: the agent cannot learn of Services',
        do: 'give a kubeconfig that can be read (--kubeconfig), or --master',
      },
    ];
  }
}

/** Its own Service IP only answers once a proxy has written rules for it. */
async function wayFinding({ config, env }: Sight, { server, origin, proxy }: Credentials): Promise<Finding> {
  const code = 'api-way';
  if (proxy !== undefined) return fine(code, `${server.host} is reached through the proxy ${proxy.host}`);
  const name = server.hostname.replace(/^\[|\]$/g, '');
  const addresses = await lookup(name, { all: true }).catch(() => []);
  const isServiceIP =
    origin === 'in-cluster' ||
    name === env['KUBERNETES_SERVICE_HOST'] ||
    addresses.some(({ address }) => config.serviceClusterIPRanges.some((range) => cidrContains(range, address)));
  if (!isServiceIP) return fine(code, `${server.host} is no Service IP`, 'it can be reached before any rule stands');
  return {
    code,
    level: 'problem',
    what: `${server.host} is the API server's own Service IP`,
    means:
      'after a reboot it does not answer before the proxy has written rules, and the proxy writes none before it answers',
    do: 'name the API server by an address of its own: --master https://ADDRESS:6443, or in the kubeconfig',
    show: 'kubectl get service kubernetes; kubectl get endpointslices -l kubernetes.io/service-name=kubernetes',
  };
}

async function answerFinding(credentials: Credentials): Promise<Finding> {
  const code = 'api-reachable';
  const { createClient } = await import('../../source/kubernetes/request.ts');
  const client = createClient(credentials, {
    clock: { now: () => performance.now(), after: () => () => undefined },
    random: Math.random,
  });
  try {
    const version = await client.json({ path: '/version', signal: AbortSignal.timeout(patienceMs) });
    const { gitVersion = 'of unknown version' } = version as { readonly gitVersion?: string };
    return fine(code, `the API server at ${credentials.server.host} answers (${gitVersion})`);
  } catch (error) {
    return {
      code,
      level: 'problem',
      what: `asking the API server at ${credentials.server.host} failed: ${(error as Error).message}`,
      means: 'the rules stay as they are; changes of Services are not learned of',
      do: 'look at the server, the way to it, and the credentials',
      show: `curl -k ${new URL('/version', credentials.server).href}`,
    };
  } finally {
    client.close();
  }
}
