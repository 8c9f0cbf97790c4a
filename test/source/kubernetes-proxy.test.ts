import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConnectionError } from '../../src/source/kubernetes/api-error.ts';
import { loadCredentials } from '../../src/source/kubernetes/credentials.ts';
import { proxyOf } from '../../src/source/kubernetes/proxy.ts';
import { createClient } from '../../src/source/kubernetes/request.ts';
import type { Authority } from '../support/certificate.ts';
import { createAuthority } from '../support/certificate.ts';
import { apiService, createClusterLab } from '../support/cluster-lab.ts';
import type { FakeApiServer } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { ProxyServer } from '../support/proxy-server.ts';
import { startProxyServer, startSocksServer } from '../support/proxy-server.ts';

const nobody = { env: {}, serviceAccountDirectory: '/nonexistent' };

describe('cluster source: which proxy', () => {
  const proxied = (server: string, env: Record<string, string>, proxyUrl = '') =>
    proxyOf(new URL(server), proxyUrl, env)?.href ?? 'none';

  const chosen: readonly { title: string; server?: string; env?: Record<string, string>; url?: string; is: string }[] =
    [
      { title: 'none where none is named', is: 'none' },
      { title: "the kubeconfig's", url: 'http://p:3128', is: 'http://p:3128/' },
      {
        title: "the kubeconfig's before the environment's, whatever NO_PROXY says",
        url: 'socks5://p:1080',
        env: { HTTPS_PROXY: 'http://q:1', NO_PROXY: '*' },
        is: 'socks5://p:1080',
      },
      {
        title: "the kubeconfig's for a loopback server too",
        server: 'https://127.0.0.1:6443',
        url: 'http://p',
        is: 'http://p/',
      },
      { title: 'that of HTTPS_PROXY', env: { HTTPS_PROXY: 'http://q:1' }, is: 'http://q:1/' },
      { title: 'that of https_proxy', env: { HTTPS_PROXY: '', https_proxy: 'https://q:1' }, is: 'https://q:1/' },
      {
        title: 'that of the upper case where both stand',
        env: { HTTPS_PROXY: 'http://q', https_proxy: 'http://r' },
        is: 'http://q/',
      },
      { title: 'without a scheme one of http', env: { HTTPS_PROXY: 'q.example:3128' }, is: 'http://q.example:3128/' },
      { title: 'none by HTTP_PROXY for https', env: { HTTP_PROXY: 'http://q' }, is: 'none' },
      {
        title: 'that of HTTP_PROXY for http',
        server: 'http://api.example:8080',
        env: { HTTP_PROXY: 'http://q', HTTPS_PROXY: 'http://r' },
        is: 'http://q/',
      },
      { title: 'none to loopback', server: 'https://127.0.0.9:6443', env: { HTTPS_PROXY: 'http://q' }, is: 'none' },
      { title: 'none to loopback of IPv6', server: 'https://[::1]:6443', env: { HTTPS_PROXY: 'http://q' }, is: 'none' },
      { title: 'none to localhost', server: 'https://LOCALHOST', env: { HTTPS_PROXY: 'http://q' }, is: 'none' },
    ];
  for (const { title, server = 'https://api.example.com:6443', env = {}, url, is } of chosen) {
    it(`is ${title}`, () => {
      expect(proxied(server, env, url)).to.equal(is);
    });
  }

  const exemptions: readonly { list: string; server: string; isExempt: boolean }[] = [
    { list: '*', server: 'https://api.example.com', isExempt: true },
    { list: 'example.com', server: 'https://example.com', isExempt: true },
    { list: 'example.com', server: 'https://api.Example.com', isExempt: true },
    { list: 'example.com', server: 'https://notexample.com', isExempt: false },
    { list: '.example.com', server: 'https://api.example.com', isExempt: true },
    { list: '.example.com', server: 'https://example.com', isExempt: false },
    { list: '*.EXAMPLE.com', server: 'https://api.example.com', isExempt: true },
    { list: '*.example.com', server: 'https://example.com', isExempt: false },
    { list: ' a.test , api.example.com ', server: 'https://api.example.com', isExempt: true },
    { list: 'api.example.com:6443', server: 'https://api.example.com:6443', isExempt: true },
    { list: 'api.example.com:443', server: 'https://api.example.com', isExempt: true },
    { list: 'api.example.com:6443', server: 'https://api.example.com', isExempt: false },
    { list: '10.0.0.0/8', server: 'https://10.1.2.3:6443', isExempt: true },
    { list: '10.0.0.0/8', server: 'https://11.1.2.3:6443', isExempt: false },
    { list: '10.0.0.0/8', server: 'https://10.example.com', isExempt: false },
    { list: '10.1.2.3', server: 'https://10.1.2.3:6443', isExempt: true },
    { list: '10.1.2.3:443', server: 'https://10.1.2.3:6443', isExempt: false },
    { list: 'fd00::/8', server: 'https://[fd00::1]:6443', isExempt: true },
    { list: 'FD00:0::1', server: 'https://[fd00::1]:6443', isExempt: true },
    { list: '[fd00::1]:6443', server: 'https://[fd00::1]:6443', isExempt: true },
    { list: '[fd00::1]:443', server: 'https://[fd00::1]:6443', isExempt: false },
    { list: ',,:443,', server: 'https://api.example.com', isExempt: false },
  ];
  for (const { list, server, isExempt } of exemptions) {
    it(`is ${isExempt ? 'none' : 'the one named'} to ${server} where NO_PROXY is "${list}"`, () => {
      for (const name of ['NO_PROXY', 'no_proxy']) {
        expect(proxied(server, { HTTPS_PROXY: 'http://q', [name]: list })).to.equal(isExempt ? 'none' : 'http://q/');
      }
    });
  }

  for (const url of ['p.example:3128', 'ftp://p', 'http://', 'http://me:secret@p:x']) {
    it(`cannot be ${url}, which is said without what it is`, () => {
      expect(() => proxied('https://api', {}, url)).to.throw(
        /^kubeconfig: proxy-url: not the address of a proxy, expected http:/,
      );
      if (!url.includes('://')) return;
      expect(() => proxied('https://api', { HTTPS_PROXY: url })).to.throw(/^HTTPS_PROXY: not the address of a proxy/);
    });
  }
});

describe('cluster source: through a proxy', () => {
  const list = { path: '/api/v1/services' };
  let authority: Authority;
  let directory: string;
  let server: FakeApiServer;
  let proxy: ProxyServer;

  const portOf = (url: string) => Number(new URL(url).port);
  /** A server that nobody can find but the proxy. */
  const far = (extra: object = {}) => ({
    ...{ server: 'https://api.test:6443', 'tls-server-name': 'localhost', 'proxy-url': proxy.url },
    ...{ 'certificate-authority-data': base64(authority.cert), ...extra },
  });
  const clientOf = (
    cluster: object,
    { env = {}, user = { token: 't' }, clock = new ManualClock() }: ClientParts = {},
  ) => {
    const kubeconfig = join(directory, 'kubeconfig');
    writeFileSync(kubeconfig, server.kubeconfig(user, cluster));
    return createClient(loadCredentials({ kubeconfig }, { ...nobody, env }), { clock, random: () => 0.5 });
  };
  const tryOnce = async (cluster: object, parts: ClientParts = {}): Promise<unknown> => {
    const client = clientOf(cluster, parts);
    try {
      await client.json(list);
      return 'fine';
    } catch (error) {
      return error;
    } finally {
      client.close();
    }
  };

  before(() => {
    authority = createAuthority();
  });
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'pw-proxy-'));
    server = await startFakeApiServer({ tls: authority.issue('server'), tokens: new Set(['t']) });
    server.set(apiService('web'));
    proxy = await startProxyServer(portOf(server.url));
  });
  afterEach(async () => {
    await proxy.close();
    await server.goDown();
    rmSync(directory, { recursive: true });
  });

  it('speaks TLS with the server itself, on one connection for many requests, and lets the proxy see no token', async () => {
    const client = clientOf(far());
    await client.json(list);
    await client.json(list);
    client.close();
    expect(proxy.asked).to.deep.equal([{ target: 'api.test:6443', authorization: undefined }]);
    expect(server.count('list')).to.equal(2);
  });

  it('presents the name and password of its address to the proxy alone', async () => {
    const url = proxy.url.replace('http://', 'http://me:p%40ss@');
    expect(await tryOnce(far({ 'proxy-url': url }))).to.equal('fine');
    expect(proxy.asked[0]?.authorization).to.equal(`Basic ${base64('me:p@ss')}`);
    expect(JSON.stringify(server.requests[0]?.headers)).not.to.contain(base64('me:p@ss'));
  });

  it('is led by the environment, and straight where NO_PROXY says so', async () => {
    const env = { HTTPS_PROXY: proxy.url };
    const cluster = far({ 'proxy-url': '' });
    expect(await tryOnce(cluster, { env })).to.equal('fine');
    expect(proxy.asked).to.have.lengthOf(1);
    expect(String(await tryOnce(cluster, { env: { ...env, NO_PROXY: '.test' } }))).to.match(/api\.test/);
    expect(proxy.asked).to.have.lengthOf(1);
  });

  it('names addresses of IPv6 in brackets', async () => {
    await tryOnce(far({ server: 'https://[fd00::1]:6443' }));
    expect(proxy.asked[0]?.target).to.equal('[fd00::1]:6443');
  });

  it('checks the certificate of the server, not less than on the straight way', async () => {
    expect(String(await tryOnce(far({ 'tls-server-name': 'other' })))).to.match(/altnames|Hostname/);
    expect(String(await tryOnce(far({ 'certificate-authority-data': base64(createAuthority().cert) })))).to.match(
      /certificate/,
    );
  });

  it('survives a client certificate that is none, and keeps no connection for it', async () => {
    const user = { 'client-certificate-data': base64('none'), 'client-key-data': base64('none') };
    expect(String(await tryOnce(far(), { user }))).to.match(/PEM|no start line/);
    await eventually(() => proxy.open() === 0);
    expect(proxy.asked).to.have.lengthOf(1);
  });

  it('may reach the proxy by TLS, which has to be trusted', async () => {
    const secure = await startProxyServer(portOf(server.url), { tls: authority.issue('proxy') });
    expect(await tryOnce(far({ 'proxy-url': secure.url }))).to.equal('fine');
    await secure.close();
    const stranger = await startProxyServer(portOf(server.url), { tls: createAuthority().issue('proxy') });
    expect(String(await tryOnce(far({ 'proxy-url': stranger.url })))).to.match(/the proxy https:.*certificate/);
    await stranger.close();
  });

  it('reaches a server without TLS too', async () => {
    const plain = await startFakeApiServer();
    const way = await startProxyServer(portOf(plain.url));
    expect(await tryOnce({ server: 'http://api.test', 'proxy-url': way.url })).to.equal('fine');
    expect(way.asked[0]?.target).to.equal('api.test:80');
    await way.close();
    await plain.goDown();
  });

  it('may go by SOCKS 5, names looked up by the proxy', async () => {
    const socks = await startSocksServer(portOf(server.url));
    const url = socks.url.replace('//', '//me:secret@');
    expect(await tryOnce(far({ 'proxy-url': url }))).to.equal('fine');
    expect(socks.asked).to.deep.equal([{ target: 'api.test:6443', authorization: 'me:secret' }]);
    socks.answer(503);
    const error = (await tryOnce(far({ 'proxy-url': url }))) as ConnectionError;
    expect(error.message).to.match(/the proxy socks5:\/\/127\.0\.0\.1:\d+: /);
    expect(JSON.stringify([error, error.cause])).not.to.contain('secret');
    await socks.close();
  });

  const refusals: readonly { status: number; phase: string; words: RegExp }[] = [
    {
      status: 407,
      phase: 'headers',
      words: /answered 407 Not Today to CONNECT api\.test:6443\. Put user and password/,
    },
    { status: 403, phase: 'headers', words: /answered 403 Not Today to CONNECT api\.test:6443$/ },
    { status: 502, phase: 'connect', words: /answered 502 Not Today to CONNECT api\.test:6443$/ },
    { status: 503, phase: 'connect', words: /answered 503/ },
  ];
  for (const { status, phase, words } of refusals) {
    it(`says that the proxy answered ${status}, and who it is without its password`, async () => {
      proxy.answer(status);
      const error = await tryOnce(far({ 'proxy-url': proxy.url.replace('//', '//me:secret@') }));
      expect(error).to.be.instanceOf(ConnectionError).and.include({ phase });
      expect((error as Error).message)
        .to.match(words)
        .and.not.contain('secret');
    });
  }

  it('says that the proxy is away', async () => {
    await proxy.close();
    const error = await tryOnce(far());
    expect(error).to.be.instanceOf(ConnectionError).and.include({ phase: 'connect' });
    expect((error as Error).message).to.match(
      /^list \/api\/v1\/services: api\.test:6443: the proxy http:.*ECONNREFUSED/,
    );
    proxy = await startProxyServer(portOf(server.url));
  });

  it('gives up a proxy that takes the connection and says nothing, and keeps none of it', async () => {
    proxy.answer(0);
    const clock = new ManualClock();
    const client = clientOf(far(), { clock });
    const failure = client.json(list).catch((error: unknown) => error);
    await clock.runUntil('the question', () => proxy.asked.length === 1);
    await clock.run(10_500);
    expect(String(await failure)).to.match(/the proxy http:.*: it made no connection in time/);
    await clock.runUntil('the end of the connection', () => proxy.open() === 0);
    const another = client.json(list).catch((error: unknown) => error);
    await clock.runUntil('the question', () => proxy.asked.length === 2);
    client.close();
    expect(await another).to.be.instanceOf(ConnectionError);
    await clock.runUntil('the end of the connection', () => proxy.open() === 0);
    expect(clock.pending).to.equal(0);
  });

  for (const away of ['server', 'proxy'] as const) {
    it(`catches up within a second or so after the ${away} was away for an hour`, async () => {
      const lab = createClusterLab(server, { kubeconfig: server.kubeconfig({ token: 't' }, far()) });
      await lab.ready();
      const { port } = proxy;
      await (away === 'proxy' ? proxy.close() : server.goDown());
      proxy.answer(502);
      await lab.clock.run(3_600_000, { stepMs: 2000 });
      expect(lab.names()).to.deep.equal(['web']);
      server.set(apiService('api'));
      const asked = proxy.asked.length;
      if (away === 'proxy') proxy = await startProxyServer(portOf(server.url), { port });
      else {
        expect(asked).to.be.below(3600 * 3);
        await server.comeBack();
        proxy.answer(200);
      }
      await lab.sees(['api', 'web'], 3000);
      await lab.end();
    });
  }
});

interface ClientParts {
  readonly env?: Record<string, string>;
  readonly user?: object;
  readonly clock?: ManualClock;
}

/** What happens at the other end of a connection takes a moment. */
async function eventually(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !condition(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(condition()).to.equal(true);
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
