import { expect } from 'chai';
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkApi } from '../../../src/commands/doctor/api.ts';
import { checkIptablesFeatures, checkNftFeatures } from '../../../src/commands/doctor/features.ts';
import type { Finding, Sight } from '../../../src/commands/doctor/finding.ts';
import { checkFirewalls } from '../../../src/commands/doctor/firewalls.ts';
import { readHoldings } from '../../../src/commands/doctor/holdings.ts';
import { checkLock } from '../../../src/commands/doctor/host.ts';
import { checkHolders } from '../../../src/commands/doctor/rules.ts';
import { checkForwarding, checkPortRanges, checkRouteLocalnet } from '../../../src/commands/doctor/sysctls.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { createRun } from '../../../src/kernel/run.ts';
import { createToolPaths } from '../../../src/kernel/tool-paths.ts';
import { createKernelLab } from '../../kernel/lab.ts';
import type { KernelLab } from '../../kernel/lab.ts';
import { nobody } from '../../support/cli.ts';

const program = join(import.meta.dirname, 'once.ts');

async function sightOf(lab: KernelLab, flags: Readonly<Record<string, unknown>> = {}): Promise<Sight> {
  const { config } = await parseConfig(flags, () => '');
  return { ...lab, config, env: {}, processes: [] };
}

function bad(findings: readonly Finding[]): readonly string[] {
  return findings.filter(({ level }) => level !== 'ok').map(({ code, level }) => `${code} ${level}`);
}

describe('doctor in a network namespace', function () {
  this.timeout(120_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('doctor');
  });
  afterEach(() => lab.remove());

  it('finds every feature that our rules use, in both variants and in nft, and leaves nothing behind', async () => {
    const sight = await sightOf(lab);
    const found = [
      ...(await checkIptablesFeatures(sight, 'nft')),
      ...(await checkIptablesFeatures(sight, 'legacy')),
      ...(await checkNftFeatures(sight)),
    ];
    expect(found.map(({ code, level }) => `${code} ${level}`)).to.deep.equal([
      'features-iptables-nft-ipv4 ok',
      'features-iptables-nft-ipv6 ok',
      'features-iptables-legacy-ipv4 ok',
      'features-iptables-legacy-ipv6 ok',
      'features-nft ok',
    ]);
    expect(await lab.namespace.mustExec('nft', 'list', 'ruleset')).to.equal('');
    expect(await lab.namespace.shell(`ls ${lab.directory.path}`)).not.to.contain('script-');
  });

  it('sees rules of both variants and of both modes', async () => {
    const rules = '*nat\n:KUBE-SERVICES - [0:0]\n-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n';
    await lab.namespace.shell(`printf '${rules.replaceAll('\n', '\\n')}' | iptables-nft-restore --noflush`);
    const one = await sightOf(lab);
    expect(bad(await checkHolders(one, await readHoldings(one)))).to.deep.equal([]);
    await lab.namespace.shell(`printf '${rules.replaceAll('\n', '\\n')}' | iptables-legacy-restore --noflush`);
    await lab.namespace.shell('nft add table ip kube-proxy; nft add chain ip kube-proxy services');
    expect(bad(await checkHolders(one, await readHoldings(one)))).to.deep.equal([
      'iptables-variants problem',
      'proxy-mode problem',
    ]);
  });

  it('sees policies and base chains that drop, and knows those of iptables', async () => {
    await lab.namespace.shell('iptables-nft -P FORWARD DROP; iptables-legacy -P INPUT DROP');
    await lab.namespace.shell(
      "nft 'table inet mine { chain pass { type filter hook forward priority 10; policy drop; }; }'",
    );
    const sight = await sightOf(lab);
    expect(bad(await checkFirewalls(sight, await readHoldings(sight)))).to.have.members([
      'forward-policy problem',
      'input-policy warning',
      'nft-drop-policy problem',
    ]);
  });

  it('leaves dormant tables alone, which the kernel does not ask', async () => {
    const chain = 'chain pass { type filter hook forward priority 10; policy drop; }';
    await lab.namespace.shell(`nft 'table inet mine { flags dormant; ${chain}; }'`);
    const sight = await sightOf(lab);
    expect(bad(await checkFirewalls(sight, await readHoldings(sight)))).to.deep.equal([]);
    await lab.namespace.shell("nft 'add table inet mine'");
    expect(bad(await checkFirewalls(sight, await readHoldings(sight)))).to.deep.equal(['nft-drop-policy problem']);
  });

  it('reads the settings of the kernel', async () => {
    const sight = await sightOf(lab);
    const set = (setting: string, value: string) =>
      lab.namespace.shell(`echo '${value}' > /proc/sys/net/ipv4/${setting}`);
    await set('ip_forward', '0');
    await set('ip_local_port_range', '20000 60999');
    await set('conf/all/route_localnet', '1');
    expect(bad(await checkForwarding(sight))).to.include('ip-forward problem');
    expect(bad(await checkPortRanges(sight))).to.deep.equal(['ephemeral-range problem']);
    expect(bad(await checkRouteLocalnet(sight, await readHoldings(sight)))).to.deep.equal(['route-localnet problem']);
    await set('ip_forward', '1');
    await set('ip_local_reserved_ports', '30000-32767');
    await set('conf/all/route_localnet', '0');
    expect(bad(await checkForwarding(sight))).not.to.include('ip-forward problem');
    expect(bad(await checkPortRanges(sight))).to.deep.equal([]);
    expect(bad(await checkRouteLocalnet(sight, await readHoldings(sight)))).to.deep.equal([]);
  });
});

describe('doctor on a tool that cannot be trusted', function () {
  this.timeout(60_000);
  let lab: KernelLab;
  let directory: string;

  before(async () => {
    lab = await createKernelLab('doctor');
    directory = await mkdtemp(join(tmpdir(), 'pw-doctor-'));
  });
  after(async () => {
    await lab.remove();
    await rm(directory, { recursive: true, force: true });
  });

  /** The lab with a tool of our own in front of the real one. */
  async function withTool(name: string, script: string): Promise<Sight> {
    const own = await mkdtemp(join(directory, 'bin-'));
    const path = join(own, name);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
    const run = createRun({ ...lab.options, paths: createToolPaths(`${own}:${process.env['PATH'] ?? ''}`) });
    return { ...(await sightOf(lab, { ipFamily: 'IPv4' })), run };
  }

  it('finds the match that is lost without an error, as some versions lose marks', async () => {
    const real = lab.paths.find('iptables-nft-save') ?? '';
    const sight = await withTool('iptables-nft-save', `${real} | sed 's/ -m mark ! --mark [^ ]*//'`);
    const found = (await checkIptablesFeatures(sight, 'nft')).filter(({ level }) => level !== 'ok');
    expect(found.map(({ what }) => what)).to.have.length(1);
    expect(found[0]?.what).to.contain('loses or rewrites mark').and.to.contain('-m mark ! --mark 0x4000/0x4000');
    expect(found[0]?.level).to.equal('problem');
  });

  it('names what the kernel refuses, in the words of the tool', async () => {
    const real = lab.paths.find('iptables-legacy-restore') ?? '';
    const sight = await withTool(
      'iptables-legacy-restore',
      `for file in "$@"; do :; done; grep -q recent "$file" && { echo "Couldn't load match recent" >&2; exit 2; }; exec ${real} "$@"`,
    );
    const found = (await checkIptablesFeatures(sight, 'legacy')).filter(({ level }) => level !== 'ok');
    expect(found.map(({ what }) => what)).to.deep.equal([
      "iptables (legacy) for IPv4 refuses recent: Couldn't load match recent",
    ]);
    expect(found[0]?.means).to.contain('session affinity');
  });

  it('only warns when the kernel has no counters for packets', async () => {
    const real = lab.paths.find('iptables-nft-restore') ?? '';
    const sight = await withTool(
      'iptables-nft-restore',
      `for file in "$@"; do :; done; grep -q nfacct "$file" && exit 4; exec ${real} "$@"`,
    );
    expect(bad(await checkIptablesFeatures(sight, 'nft'))).to.deep.equal(['features-iptables-nft-ipv4 warning']);
  });

  it('tells an nft that crashes from one that may not look', async () => {
    const sight = await withTool('nft', 'kill -SEGV $$');
    expect(bad(await checkHolders(sight, await readHoldings(sight)))).to.deep.equal(['nft-crash warning']);
  });

  it('says once that a tool is missing, not of each feature that it is refused', async () => {
    const real = lab.paths.find('unshare') ?? '';
    const sight = await withTool('unshare', `PATH=/bin exec ${real} "$@"`);
    const found = [...(await checkIptablesFeatures(sight, 'nft')), ...(await checkNftFeatures(sight))];
    expect(found.map(({ level }) => level)).to.deep.equal(['warning', 'warning']);
    expect(found.map((finding) => finding.what.split(': ').slice(1).join(': '))).to.deep.equal([
      'iptables-nft-restore: not installed',
      'nft: not installed',
    ]);
    expect(new Set(found.map((finding) => finding.do))).to.deep.equal(new Set(['install the tool']));
  });

  it('says so when there is no scratch namespace to be had', async () => {
    const sight = await withTool('unshare', 'echo "unshare failed: Operation not permitted" >&2; exit 1');
    const [found] = await checkNftFeatures(sight);
    expect(found?.level).to.equal('warning');
    expect(found?.what).to.contain('could not be seen: unshare failed');
  });
});

describe('doctor on the lock of iptables', () => {
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pw-lock-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  async function lock(path: string, env = {}): Promise<Finding | undefined> {
    const { config } = await parseConfig({}, () => '');
    const files = {
      read: (file: string) =>
        Promise.resolve(file === '/proc/self/mountinfo' ? '22 1 0:21 / /proc rw - proc proc rw\n' : undefined),
      write: () => Promise.reject(new Error()),
    };
    const sight = { config, files, env: { XTABLES_LOCKFILE: path, ...env } } as unknown as Sight;
    return (await checkLock(sight, 'legacy'))[0];
  }

  it('is content with one that can be made', async () => {
    expect(await lock(join(directory, 'lock'))).to.include({ level: 'ok' });
  });

  it('names who holds it', async () => {
    const path = join(directory, 'held');
    const holder = spawn('flock', ['--no-fork', path, 'sh', '-c', 'echo held; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      await new Promise<void>((resolve) =>
        holder.stdout.once('data', () => {
          resolve();
        }),
      );
      expect((await lock(path))?.what).to.contain(`(pid ${String(holder.pid)}) holds it now`);
    } finally {
      holder.kill('SIGKILL');
    }
  });

  it('finds one that cannot be written', async () => {
    expect(await lock(join(directory, 'no-such-directory', 'lock'))).to.include({
      level: 'problem',
      code: 'xtables-lock',
    });
  });

  it('finds one that a container does not share with its host', async () => {
    const found = await lock(join(directory, 'lock'), { KUBERNETES_SERVICE_HOST: '10.96.0.1' });
    expect(found).to.include({ level: 'problem' });
    expect(found?.what).to.contain('container');
  });
});

describe('doctor on the API server', () => {
  async function api(flags: Readonly<Record<string, unknown>>, env = {}): Promise<readonly Finding[]> {
    const { config } = await parseConfig(flags, () => '');
    return checkApi({ config, env } as unknown as Sight);
  }

  it('says nothing when none is named', async () => {
    expect(await api({})).to.deep.equal([]);
  });

  it('asks it for its version', async () => {
    const server = createServer((_, response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end('{"gitVersion":"v1.36.2"}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const found = await api({ master: `http://127.0.0.1:${port}` });
      expect(bad(found)).to.deep.equal([]);
      expect(found.map(({ what }) => what).join()).to.contain('v1.36.2');
    } finally {
      server.close();
    }
    expect(bad(await api({ master: `http://127.0.0.1:${port}` }))).to.deep.equal(['api-reachable problem']);
  });

  it('finds that it is asked by its own Service IP', async () => {
    // In no namespace of a test is there a way to it; only the address counts here.
    const flags = { master: 'http://127.0.0.1:1', serviceClusterIpRange: ['127.0.0.0/8'] };
    expect(bad(await api(flags))).to.deep.equal(['api-way problem', 'api-reachable problem']);
  });

  it('goes through the proxy of the environment, and says so', async () => {
    const found = await api({ master: 'https://192.0.2.1:6443' }, { HTTPS_PROXY: 'http://me:secret@127.0.0.1:1' });
    expect(bad(found)).to.deep.equal(['api-reachable problem']);
    expect(found.map(({ what }) => what).join())
      .to.match(/192\.0\.2\.1:6443 is reached through the proxy 127\.0\.0\.1:1.*ECONNREFUSED/)
      .and.not.contain('secret');
  });

  it('tells what is wrong with a kubeconfig', async () => {
    expect(bad(await api({ kubeconfig: '/no/such/kubeconfig' }))).to.deep.equal(['api-config problem']);
  });
});

describe('portwright doctor', function () {
  this.timeout(120_000);

  interface Answer {
    readonly exitCode: unknown;
    readonly findings: readonly Finding[];
  }

  function run(...wrapper: readonly string[]): Promise<Answer> {
    const [file, ...args] = [...wrapper, process.execPath, '--import', 'tsx', program];
    return new Promise((resolve, reject) => {
      execFile(file, args, (error, stdout, stderr) => {
        if (stdout === '') reject(new Error(stderr));
        else resolve({ exitCode: error?.code ?? 0, ...(JSON.parse(stdout) as { findings: readonly Finding[] }) });
      });
    });
  }

  it('looks at everything, puts problems first, and tells by its exit code whether there are any', async () => {
    const lab = await createKernelLab('doctor');
    try {
      await lab.namespace.shell('echo 0 > /proc/sys/net/ipv4/ip_forward');
      const { exitCode, findings } = await run(...lab.namespace.prefix);
      expect(exitCode).to.equal(1);
      expect(findings[0]).to.include({ level: 'problem' });
      const codes = findings.map(({ code }) => code);
      expect(codes).to.include.members([
        'tool-nft',
        'rights',
        'proxy-mode',
        'ip-forward',
        'rp-filter',
        'firewall',
        'xtables-lock',
      ]);
      for (const one of findings) expect([one.what, one.means, one.do], one.code).not.to.include('');
      expect(await lab.namespace.mustExec('nft', 'list', 'ruleset')).to.equal('');
    } finally {
      await lab.remove();
    }
  });

  it('works without root, and says what it could not see', async () => {
    const { findings } = await run(...nobody);
    const unseen = findings.filter(({ what }) => what.includes('could not be seen'));
    expect(unseen.map(({ code }) => code)).to.include('proxy-mode');
    expect(findings.find(({ code }) => code === 'rights')).to.include({ level: 'warning' });
    expect(findings.find(({ code }) => code === 'ip-forward')).to.not.equal(undefined);
  });
});
