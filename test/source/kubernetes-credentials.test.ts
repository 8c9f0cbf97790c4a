import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { expect } from 'chai';
import { apiError, ConnectionError } from '../../src/source/kubernetes/api-error.ts';
import type { ConnectionOptions, Surroundings } from '../../src/source/kubernetes/credentials.ts';
import { ConnectionConfigError, loadCredentials } from '../../src/source/kubernetes/credentials.ts';
import { limitPlugins } from '../../src/source/kubernetes/exec-plugin.ts';
import { createClient } from '../../src/source/kubernetes/request.ts';
import type { Authority } from '../support/certificate.ts';
import { createAuthority } from '../support/certificate.ts';
import { apiService, createClusterLab } from '../support/cluster-lab.ts';
import type { FakeApiServer, FakeApiServerOptions } from '../support/fake-api-server.ts';
import { startFakeApiServer } from '../support/fake-api-server.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('cluster source: credentials', () => {
  const nowhere: Surroundings = { env: {}, serviceAccountDirectory: '/nonexistent' };
  const list = { path: '/api/v1/services' };
  let authority: Authority;
  let directory: string;
  let server: FakeApiServer;

  const serve = async (options: FakeApiServerOptions = {}) => {
    server = await startFakeApiServer(options);
    server.set(apiService('web'));
  };
  const serveTls = async (options: Omit<FakeApiServerOptions, 'tls'> = {}) => {
    await serve({ ...options, tls: { ...authority.issue('server'), clientAuthority: authority.cert } });
  };
  const write = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const clientOf = (options: ConnectionOptions, surroundings = nowhere) =>
    createClient(loadCredentials(options, surroundings), { clock: new ManualClock(), random: () => 0.5 });
  /** Lists once with these credentials; the result is the error's text, if any. */
  const tryOnce = async (options: ConnectionOptions, surroundings = nowhere) => {
    const client = clientOf(options, surroundings);
    try {
      await client.json(list);
      return 'fine';
    } catch (error) {
      return (error as Error).message;
    } finally {
      client.close();
    }
  };
  const withUser = (user: object, cluster: object = { 'certificate-authority-data': base64(authority.cert) }) => ({
    kubeconfig: write('kubeconfig', server.kubeconfig(user, cluster)),
  });

  before(() => {
    authority = createAuthority();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pw-credentials-'));
  });
  afterEach(async () => {
    rmSync(directory, { recursive: true });
    await server.goDown();
  });

  describe('that lead nowhere', () => {
    const cases: readonly { title: string; options: () => ConnectionOptions; message: RegExp }[] = [
      { title: 'nothing at all', options: () => ({}), message: /--kubeconfig.*--master.*-f PATH/ },
      {
        title: 'a kubeconfig that is not there',
        options: () => ({ kubeconfig: '/nonexistent/config' }),
        message: /kubeconfig \/nonexistent\/config cannot be read: ENOENT/,
      },
      {
        title: 'a kubeconfig that is not YAML',
        options: () => ({ kubeconfig: write('broken', 'users: [token: very-secret\n') }),
        message: /broken cannot be used: (?!.*very-secret)/,
      },
      {
        title: 'an empty kubeconfig',
        options: () => ({ kubeconfig: write('empty', '') }),
        message: /empty cannot be used: it is no YAML mapping/,
      },
      {
        title: 'a kubeconfig without a current context',
        options: () => ({ kubeconfig: write('none', 'apiVersion: v1\nkind: Config\n') }),
        message: /no current-context leads to no cluster \(contexts in the file: none\)/,
      },
      {
        title: 'a context that is not there',
        options: () => ({ kubeconfig: write('other', server.kubeconfig().replace('"fake"', '"prod"')) }),
        message: /current-context "prod" leads to no cluster \(contexts in the file: fake\)/,
      },
      { title: 'a master that is no URL', options: () => ({ master: 'ftp://x' }), message: /"ftp:\/\/x" is not a URL/ },
    ];
    for (const { title, options, message } of cases) {
      it(`says what to do about ${title}`, async () => {
        await serve();
        expect(() => loadCredentials(options(), nowhere)).to.throw(ConnectionConfigError, message);
      });
    }
  });

  describe('tokens', () => {
    it('are taken from a tokenFile, as kubeadm writes it: beside the kubeconfig, with a line end', async () => {
      await serve({ tokens: new Set(['first']) });
      write('token', 'first\n');
      expect(await tryOnce(withUser({ tokenFile: 'token', token: 'stale' }))).to.equal('fine');
    });

    it('are read again for each request, and again when the server refuses one', async () => {
      await serve({ tokens: new Set(['first']) });
      write('token', 'first');
      const client = clientOf(withUser({ tokenFile: join(directory, 'token') }));
      await client.json(list);
      server.tokens?.add('second').delete('first');
      write('token', 'second');
      await client.json(list);
      client.close();
      expect(server.count('list')).to.equal(2);
    });

    it('that rotate while a source runs are found within 5 s of it', async () => {
      await serve({ tokens: new Set(['first']) });
      const path = write('token', 'first');
      const lab = createClusterLab(server, { kubeconfig: server.kubeconfig({ tokenFile: path }) });
      await lab.ready();
      server.tokens?.add('second').delete('first');
      for (const watch of server.watches()) watch.cut();
      await lab.clock.run(60_000, { stepMs: 300 });
      const refused = () => /401.*credentials/.test(lab.source.status().get('services')?.lastError ?? '');
      await lab.clock.runUntil('refusals', refused);
      server.set(apiService('api'));
      write('token', 'second');
      await lab.sees(['api', 'web'], 5000);
      expect(lab.lines.join('\n')).to.not.match(/first|second/);
      await lab.end();
    });

    it('that are empty or missing are named by their file, never by their content', async () => {
      await serve({ tokens: new Set(['first']) });
      expect(await tryOnce(withUser({ tokenFile: write('token', '\n') }))).to.match(/token file .*token is empty/);
      expect(await tryOnce(withUser({ tokenFile: '/nonexistent/token' }))).to.match(
        /token file \/nonexistent\/token cannot/,
      );
    });

    it('come from an exec plugin, which is asked again when the server refuses its answer', async () => {
      await serve({ tokens: new Set(['plugin-1']) });
      const script = [
        'test "$(printf %s "$KUBERNETES_EXEC_INFO" | cut -c1-14)" = \'{"apiVersion":\' || exit 1',
        `n=$(( $(cat ${directory}/n 2>/dev/null || echo 0) + 1 )); echo $n > ${directory}/n`,
        'echo \'{"kind":"ExecCredential","status":{"token":"plugin-\'$n\'","expirationTimestamp":"2999-01-01T00:00:00Z"}}\'',
      ].join('\n');
      const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', script] };
      const client = clientOf(withUser({ exec }));
      await client.json(list);
      await client.json(list);
      server.tokens?.add('plugin-2').delete('plugin-1');
      await client.json(list);
      client.close();
      expect(server.requests.map(({ headers }) => headers.authorization)).to.deep.equal(
        ['plugin-1', 'plugin-1', 'plugin-1', 'plugin-2'].map((token) => `Bearer ${token}`),
      );
    });

    it('are not waited for without end: a plugin that hangs is ended', async () => {
      const config = new KubeConfig();
      const exec = { command: 'sh', args: ['-c', `echo $$ > ${directory}/pid; exec sleep 600`] };
      const cluster = { name: 'here', server: 'https://127.0.0.1', skipTLSVerify: true };
      config.loadFromClusterAndUser(cluster, { name: 'me', exec });
      limitPlugins(config, 500);
      const reason = await config.applyToHTTPSOptions({}).then(
        () => 'an answer',
        () => 'none',
      );
      expect(reason).to.equal('none');
      const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'));
      expect(() => process.kill(pid, 0)).to.throw('ESRCH');
    });

    it('end nothing where the plugin cannot be started for want of files', async () => {
      const program = join(import.meta.dirname, 'plugin-without-files.ts');
      const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', program]);
      expect(stdout).to.include('cannot be started: no file can be opened');
    });

    it('may be a name and a password', async () => {
      await serve();
      await tryOnce(withUser({ username: 'me', password: 'pw' }));
      expect(server.requests[0]?.headers.authorization).to.equal(`Basic ${base64('me:pw')}`);
    });
  });

  describe('TLS', () => {
    it('trusts the authority given as data or as a file, and no other', async () => {
      await serveTls();
      write('ca.crt', authority.cert);
      expect(await tryOnce(withUser({}))).to.equal('fine');
      expect(await tryOnce(withUser({}, { 'certificate-authority': 'ca.crt' }))).to.equal('fine');
      expect(await tryOnce(withUser({}, {}))).to.match(/self.signed certificate|unable to verify/);
      const other = { 'certificate-authority-data': base64(createAuthority().cert) };
      expect(await tryOnce(withUser({}, other))).to.match(/certificate|signature/);
    });

    it('checks nothing only where the kubeconfig says so', async () => {
      await serveTls();
      expect(await tryOnce(withUser({}, { 'insecure-skip-tls-verify': true }))).to.equal('fine');
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
      try {
        expect(await tryOnce(withUser({}, {}))).to.not.equal('fine');
      } finally {
        delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      }
    });

    it('checks the name that the kubeconfig names', async () => {
      await serveTls();
      const cluster = { 'certificate-authority-data': base64(authority.cert) };
      expect(await tryOnce(withUser({}, { ...cluster, 'tls-server-name': 'localhost' }))).to.equal('fine');
      expect(await tryOnce(withUser({}, { ...cluster, 'tls-server-name': 'elsewhere' }))).to.match(/elsewhere/);
    });

    it('shows a client certificate, and the new one after it was replaced', async () => {
      await serveTls();
      const put = (name: string) => {
        const issued = authority.issue(name);
        write('client.crt', issued.cert);
        write('client.key', issued.key);
      };
      put('node-1-old');
      const client = clientOf(withUser({ 'client-certificate': 'client.crt', 'client-key': 'client.key' }));
      await client.json(list);
      put('node-1-new');
      await client.json(list);
      client.close();
      expect(server.requests.map((request) => request.client)).to.deep.equal(['node-1-old', 'node-1-new']);
    });

    it('carries a source, with a certificate that is replaced while it runs', async () => {
      await serveTls();
      const put = (name: string) => {
        const issued = authority.issue(name);
        return {
          'client-certificate': write('client.crt', issued.cert),
          'client-key': write('client.key', issued.key),
        };
      };
      const cluster = { 'certificate-authority-data': base64(authority.cert) };
      const lab = createClusterLab(server, { kubeconfig: server.kubeconfig(put('old'), cluster) });
      await lab.ready();
      put('new');
      for (const watch of server.watches('services')) watch.cut();
      server.set(apiService('api'));
      await lab.sees(['api', 'web'], 2000);
      const clients = server.requests
        .filter(({ resource }) => resource === 'services')
        .map((request) => request.client);
      expect(clients).to.deep.equal(['old', 'new']);
      await lab.end();
    });

    it('takes up a kubeconfig that was rewritten', async () => {
      await serve({ tokens: new Set(['b']) });
      const client = clientOf(withUser({ token: 'a' }));
      withUser({ token: 'b' });
      await client.json(list);
      client.close();
    });
  });

  describe('by other ways', () => {
    it('are none with --master alone, also without a scheme', async () => {
      await serve();
      expect(await tryOnce({ master: server.url })).to.equal('fine');
      expect(await tryOnce({ master: server.url.replace('http://', '') })).to.equal('fine');
      expect(server.requests[0]?.headers.authorization).to.equal(undefined);
    });

    it('are those of the kubeconfig at the address of --master', async () => {
      await serve({ tokens: new Set(['t']) });
      const path = write('kubeconfig', server.kubeconfig({ token: 't' }, { server: 'https://192.0.2.1:6443/' }));
      expect(await tryOnce({ kubeconfig: path, master: server.url })).to.equal('fine');
    });

    it('are those of the pod inside a cluster', async () => {
      await serveTls({ tokens: new Set(['pod']) });
      const account = join(directory, 'serviceaccount');
      mkdirSync(account);
      writeFileSync(join(account, 'token'), 'pod\n');
      writeFileSync(join(account, 'ca.crt'), authority.cert);
      const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: new URL(server.url).port };
      expect(await tryOnce({}, { env, serviceAccountDirectory: account })).to.equal('fine');
      await server.goDown();
      expect(await tryOnce({}, { env, serviceAccountDirectory: account })).to.match(
        /only once a proxy runs: give --master/,
      );
    });

    it('keep to the path of the server', async () => {
      await serve();
      const at = { server: `${server.url}/k8s/clusters/c-1/` };
      expect(await tryOnce(withUser({}, at))).to.match(/404/);
      expect(server.requests[0]?.url).to.equal('/k8s/clusters/c-1/api/v1/services');
    });
  });

  describe('answers', () => {
    it('that nobody gives are connection errors of a phase', async () => {
      await serve();
      const client = clientOf({ master: server.url });
      await server.goDown();
      const error = await client.json(list).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(ConnectionError).and.include({ phase: 'connect' });
    });

    it('are told in one line of bounded length', async () => {
      await serve();
      const { message } = apiError('list x', {
        status: 500,
        body: JSON.stringify({ message: `a\nb\u001b[31m${'c'.repeat(5000)}` }),
      });
      expect(message)
        .to.match(/^list x: the API server answered 500: a b \[31mc+…$/)
        .and.to.have.length.below(500);
    });

    it('may come on a connection that stood idle for too long', async () => {
      await serve();
      const client = clientOf({ master: server.url });
      await client.json(list);
      await server.goDown();
      await server.comeBack();
      await client.json(list);
      client.close();
    });
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
