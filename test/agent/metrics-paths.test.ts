import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { createHttpServer } from '../../src/agent/http-server.ts';
import { closeServer, listen } from '../../src/agent/listener.ts';
import { metricsPaths } from '../../src/agent/metrics-paths.ts';
import type { MetricsPathsOptions } from '../../src/agent/metrics-paths.ts';
import { ask, recordedAnswer } from './recorded-answer.ts';

describe('agent/metrics-paths', () => {
  const servers: Server[] = [];
  afterEach(() => Promise.all(servers.splice(0).map(closeServer)));

  const started = new Date('2026-11-21T07:58:05Z');
  const defaults: MetricsPathsOptions = {
    proxyMode: 'iptables',
    version: '0.1.0',
    started,
    now: () => new Date(started.getTime() + 3_725_000),
    metrics: () => Promise.resolve('up 1\n'),
    configuration: () => ({}),
    flags: () => new Map(),
    services: () => [],
    features: new Map(),
  };

  async function serve(more: Partial<MetricsPathsOptions> = {}): Promise<number> {
    const handler = metricsPaths({ ...defaults, ...more });
    const server = createHttpServer({ handler, maxConnections: 64, onError: () => undefined });
    servers.push(server);
    await listen(server, { address: '127.0.0.1', port: 0, wildcard: 'both' });
    return (server.address() as AddressInfo).port;
  }

  for (const mode of ['iptables', 'nftables']) {
    it(`answers byte for byte as kube-proxy in ${mode} mode`, async () => {
      const configz = recordedAnswer(`${mode}-10249-configz`);
      const configuration = (JSON.parse(configz.body) as { 'kubeproxy.config.k8s.io': object })[
        'kubeproxy.config.k8s.io'
      ];
      // kube-proxy picks a separator at random so that nobody parses this; ours is always the first.
      const flagz = recordedAnswer(`${mode}-10249-flagz`).body.replace(/^([a-z-]+)(?:: |=)/gm, '$1: ');
      const pairs = [...flagz.matchAll(/^([a-z-]+): (.*)$/gm)].map((match): [string, string] => [match[1]!, match[2]!]);
      const flags = new Map(pairs.reverse());
      const port = await serve({ proxyMode: mode, configuration: () => configuration, flags: () => flags });
      expect((await ask(port, '/flagz')).body).to.equal(flagz);
      for (const path of ['healthz', 'proxyMode', 'configz', 'nothing']) {
        expect(await ask(port, `/${path}`), path).to.deep.equal(recordedAnswer(`${mode}-10249-${path}`));
      }
    });
  }

  it('serves /metrics with the headers of kube-proxy', async () => {
    const port = await serve();
    const { head, body } = await ask(port, '/metrics');
    const recorded = recordedAnswer('iptables-10249-metrics').head.filter(
      (line) => !line.startsWith('Transfer-Encoding'),
    );
    expect(head.filter((line) => !line.startsWith('Content-Length'))).to.deep.equal(recorded);
    expect(body).to.equal('up 1\n');
  });

  it('serves /flagz and /statusz unless their feature gates are off', async () => {
    const status = async (port: number, path: string) => (await ask(port, path)).head[0];
    const open = await serve({ features: new Map([['ComponentFlagz', true]]) });
    expect(await status(open, '/flagz')).to.include('200');
    expect(await status(open, '/statusz')).to.include('200');
    const noFlagz = await serve({ features: new Map([['ComponentFlagz', false]]) });
    expect(await status(noFlagz, '/flagz')).to.include('404');
    expect((await ask(noFlagz, '/statusz')).body).to.include('Paths:  /configz /healthz');
    const noStatusz = await serve({ features: new Map([['ComponentStatusz', false]]) });
    expect(await status(noStatusz, '/statusz')).to.include('404');
  });

  it('answers the ping in full when asked to', async () => {
    const port = await serve();
    expect((await ask(port, '/healthz?verbose')).body).to.equal('[+]ping ok\nhealthz check passed\n');
    expect((await ask(port, '/healthz/ping')).body).to.equal('ok');
  });

  it('counts the pings on /metrics/slis until they are reset', async () => {
    const port = await serve();
    await ask(port, '/healthz');
    await ask(port, '/healthz');
    expect((await ask(port, '/metrics/slis')).body).to.match(
      /^kubernetes_healthchecks_total\{name="ping",status="success",type="healthz"\} 2$/m,
    );
    expect((await ask(port, '/metrics/slis', { method: 'DELETE' })).body).to.equal('metrics reset\n');
    expect((await ask(port, '/metrics/slis')).body).to.equal('');
  });

  it('tells its status as text, or as JSON when asked for it', async () => {
    const port = await serve();
    const { head, body } = await ask(port, '/statusz');
    const recorded = recordedAnswer('iptables-10249-statusz');
    expect(head).to.deep.equal(recorded.head);
    expect(body.split('\n').slice(0, 4)).to.deep.equal(recorded.body.split('\n').slice(0, 4));
    expect(body).to.include('\nUp:  1 hr 02 min 05 sec\n').and.include('\nBinary version:  portwright 0.1.0\n');
    const headers = { Accept: 'application/json;v=v1alpha1;g=config.k8s.io;as=Statusz' };
    expect(JSON.parse((await ask(port, '/statusz', { headers })).body)).to.deep.include({
      kind: 'Statusz',
      uptimeSeconds: 3725,
    });
    expect(JSON.parse((await ask(port, '/flagz', { headers })).body)).to.deep.include({ kind: 'Flagz', flags: {} });
  });

  it('tells of each Service what is desired, applied and verified', async () => {
    const warning = { object: 'Service default/web', field: 'spec.ports[0]', reason: 'BadPort', message: 'no' };
    const port = await serve({
      services: () => [
        {
          namespace: 'default',
          name: 'web',
          family: 'IPv4',
          desired: started,
          applied: started,
          verified: started,
          state: 'ok',
          warnings: [],
        },
        {
          namespace: 'default',
          name: 'bad',
          family: 'IPv6',
          desired: started,
          state: 'quarantined',
          warnings: [warning],
        },
      ],
    });
    const { services } = JSON.parse((await ask(port, '/services')).body) as { services: object[] };
    expect(services).to.deep.equal([
      {
        namespace: 'default',
        name: 'web',
        family: 'IPv4',
        desired: 'T',
        applied: 'T',
        verified: 'T',
        state: 'ok',
        warnings: [],
      },
      { namespace: 'default', name: 'bad', family: 'IPv6', desired: 'T', state: 'quarantined', warnings: [warning] },
    ]);
  });

  it('makes one answer for all who ask at the same time, and a fresh one for who asks later', async () => {
    let made = 0;
    const metrics = () => Promise.resolve(`made ${++made}\n`);
    const port = await serve({ metrics });
    await Promise.all(Array.from({ length: 60 }, () => ask(port, '/metrics')));
    expect(made).to.be.below(30);
    const before = made;
    expect((await ask(port, '/metrics')).body).to.equal(`made ${before + 1}\n`);
  });

  it('answers 500 when an answer cannot be made, and the next time makes it', async () => {
    let isBroken = true;
    const port = await serve({
      metrics: () => (isBroken ? Promise.reject(new Error('a mistake of ours')) : Promise.resolve('ok')),
    });
    expect((await ask(port, '/metrics')).head[0]).to.match(/ 500 /);
    isBroken = false;
    expect((await ask(port, '/metrics')).body).to.equal('ok');
  });
});
