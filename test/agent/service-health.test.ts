import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { expect } from 'chai';
import { serviceHealthAddresses, serviceHealthChecks, ServiceHealthServers } from '../../src/agent/service-health.ts';
import type { ServiceHealthCheck } from '../../src/agent/service-health.ts';
import { FakeClock, settle } from './fake-clock.ts';
import { endpoint, proxyModel, servicePort } from './models.ts';
import { ask, recordedAnswer } from './recorded-answer.ts';

describe('agent/service-health', () => {
  it('counts the addresses of ready endpoints here, once each, over all ports', () => {
    const here = { isLocal: true };
    const web = (portName: string, port: number, healthCheckNodePort = 32_100) =>
      servicePort({
        name: 'web',
        portName,
        healthCheckNodePort,
        allEndpoints: [
          endpoint('10.244.1.11', port, here),
          endpoint('10.244.1.12', port, { ...here, isReady: false, isTerminating: true }),
          endpoint('10.244.2.14', port),
        ],
      });
    const far = servicePort({ name: 'far', healthCheckNodePort: 32_101, allEndpoints: [endpoint('10.244.2.14', 80)] });
    expect(serviceHealthChecks(proxyModel([far, servicePort(), web('http', 80), web('https', 443)]))).to.deep.equal([
      { namespace: 'default', name: 'far', port: 32_101, localEndpoints: 0 },
      { namespace: 'default', name: 'web', port: 32_100, localEndpoints: 1 },
    ]);
  });

  it('serves where node ports are accepted', () => {
    expect(serviceHealthAddresses(proxyModel([]))).to.deep.equal(['0.0.0.0']);
    expect(serviceHealthAddresses(proxyModel([], { family: 'IPv6' }))).to.deep.equal(['::']);
    expect(serviceHealthAddresses(proxyModel([], { nodePortAddresses: ['10.0.0.1'] }))).to.deep.equal(['10.0.0.1']);
    expect(serviceHealthAddresses(proxyModel([], { nodePortAddresses: [] }))).to.deep.equal([]);
  });

  describe('servers', () => {
    const state = { isHealthy: true };
    let clock: FakeClock;
    let failures: [ServiceHealthCheck, Error][];
    let servers: ServiceHealthServers;
    const holders: Server[] = [];
    beforeEach(() => {
      clock = new FakeClock();
      failures = [];
      state.isHealthy = true;
      servers = new ServiceHealthServers({
        isHealthy: () => state.isHealthy,
        clock,
        onListenFailure: (...failure) => failures.push(failure),
        onError: (error) => {
          throw error;
        },
      });
    });
    afterEach(async () => {
      await servers.close();
      for (const holder of holders.splice(0)) holder.close();
    });

    function check(name: string, port: number, localEndpoints: number): ServiceHealthCheck {
      return { namespace: 'default', name, port, localEndpoints };
    }

    /** A port that nobody listens on, or that somebody holds. */
    async function port(isHeld = false): Promise<number> {
      const holder = createServer();
      await new Promise<void>((resolve) => {
        holder.listen(0, '127.0.0.1', resolve);
      });
      const { port } = holder.address() as AddressInfo;
      if (isHeld) holders.push(holder);
      else await new Promise((resolve) => holder.close(resolve));
      return port;
    }

    async function refused(port: number): Promise<boolean> {
      return ask(port, '/').then(
        () => false,
        (error: unknown) => (error as NodeJS.ErrnoException).code === 'ECONNREFUSED',
      );
    }

    it('answers byte for byte as kube-proxy, on every path and method', async () => {
      const [web, far] = [await port(), await port()];
      await servers.update([check('web', web, 1), check('far', far, 0)], ['127.0.0.1']);
      for (const mode of ['iptables', 'nftables']) {
        const recorded = (name: string) => recordedAnswer(`${mode}-health-check-node-port-${name}`);
        expect(await ask(web, '/')).to.deep.equal(recorded('local-endpoint'));
        expect(await ask(web, '/some/path', { method: 'POST' })).to.deep.equal(recorded('any-path'));
        expect(await ask(far, '/')).to.deep.equal(recorded('no-local-endpoint'));
      }
    });

    it('answers 503 while the proxy is unhealthy', async () => {
      const web = await port();
      await servers.update([check('web', web, 2)], ['127.0.0.1']);
      state.isHealthy = false;
      const { head, body } = await ask(web, '/');
      expect(head[0]).to.equal('HTTP/1.1 503 Service Unavailable');
      expect(head).to.include('X-Load-Balancing-Endpoint-Weight: 2');
      expect(JSON.parse(body)).to.deep.include({ localEndpoints: 2, serviceProxyHealthy: false });
    });

    it('follows counts, ports, addresses and removal', async () => {
      const [first, second] = [await port(), await port()];
      const weight = async (asked: number, host?: string) =>
        (await ask(asked, '/', host === undefined ? {} : { host })).head.find((line) => line.startsWith('X-Load'));
      await servers.update([check('web', first, 1)], ['127.0.0.1']);
      await servers.update([check('web', first, 3)], ['127.0.0.1']);
      expect(await weight(first)).to.match(/: 3$/);
      await servers.update([check('web', second, 4)], ['127.0.0.1']);
      expect(await refused(first)).to.equal(true);
      expect(await weight(second)).to.match(/: 4$/);
      await servers.update([check('web', second, 4)], ['0.0.0.0']);
      expect(await weight(second, '127.0.0.2')).to.match(/: 4$/);
      await servers.update([check('other', second, 5)], ['0.0.0.0']);
      expect(await weight(second)).to.match(/: 5$/);
      await servers.update([check('other', second, 5)], []);
      expect(await refused(second)).to.equal(true);
      await servers.update([], ['0.0.0.0']);
      expect(await refused(second)).to.equal(true);
    });

    it('reports a port that is taken once, and opens it within five seconds of its release', async () => {
      const taken = await port(true);
      await servers.update([check('web', taken, 1)], ['127.0.0.2', '127.0.0.1']);
      expect(failures.map(([failed]) => failed)).to.deep.equal([check('web', taken, 1)]);
      expect(failures[0]![1].message).to.match(/EADDRINUSE/);
      // All addresses or none.
      expect(
        await ask(taken, '/', { host: '127.0.0.2' }).then(
          () => true,
          () => false,
        ),
      ).to.equal(false);
      await clock.advance(5000);
      await servers.update([check('web', taken, 2)], ['127.0.0.2', '127.0.0.1']);
      expect(failures).to.have.length(1);
      await new Promise((resolve) => holders.pop()!.close(resolve));
      await clock.advance(5000);
      await servers.update([check('web', taken, 2)], ['127.0.0.2', '127.0.0.1']);
      expect((await ask(taken, '/')).head[0]).to.equal('HTTP/1.1 200 OK');
    });

    it('does not come back for a Service that is gone', async () => {
      const taken = await port(true);
      await servers.update([check('web', taken, 1)], ['127.0.0.1']);
      await servers.update([], ['127.0.0.1']);
      await new Promise((resolve) => holders.pop()!.close(resolve));
      await clock.advance(20_000);
      await settle();
      expect(await refused(taken)).to.equal(true);
    });
  });
});
