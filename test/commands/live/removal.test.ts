import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildCli, nobody } from '../../support/cli.ts';
import type { Cli } from '../../support/cli.ts';
import { createNamespace } from '../../support/namespace.ts';
import type { Namespace } from '../../support/namespace.ts';

const service = (nodePort: number) => `apiVersion: v1
kind: Service
metadata: { name: web, resourceVersion: '1' }
spec: { type: NodePort, clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ports: [{ port: 80, nodePort: ${nodePort} }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: '', port: 8080 }]
endpoints: [{ addresses: [10.244.1.11] }]
`;

describe('apply and cleanup where the kernel does not take everything', function () {
  this.timeout(120_000);
  let cli: Cli;
  let node: Namespace;

  before(() => {
    cli = buildCli();
  });
  after(() => {
    cli.remove();
  });
  beforeEach(async () => {
    node = await createNamespace('removal');
  });
  afterEach(() => node.remove());

  const run = (...args: string[]) => cli.run(args, { prefix: node.prefix, env: node.env });
  const manifest = (nodePort: number) => {
    const path = join(cli.directory, `service-${nodePort}.yaml`);
    writeFileSync(path, service(nodePort));
    return ['-f', path, '--hostname-override', 'node-1', '--ip-family', 'IPv4'];
  };

  for (const variant of ['nft', 'legacy']) {
    it(`cleanup removes all but the chain that a foreign rule jumps to, ${variant}`, async () => {
      await run('apply', ...manifest(30080), '--iptables-variant', variant);
      const saved = await node.mustExec(`iptables-${variant}-save`, '-t', 'nat');
      const [chain = ''] = /KUBE-SEP-[A-Z0-9]+/.exec(saved) ?? [];
      const rule = ['PREROUTING', '-p', 'tcp', '--dport', '9999', '-j', chain];
      await node.mustExec(`iptables-${variant}`, '-t', 'nat', '-A', ...rule);
      const { exitCode, stdout, stderr } = await run('cleanup');
      expect(exitCode).to.equal(2);
      expect(stderr).to.contain(chain);
      expect(stdout).to.contain('- nat KUBE-SERVICES').and.not.to.contain(`- nat ${chain}`);
      const left = await node.mustExec(`iptables-${variant}-save`, '-t', 'nat');
      expect(left.split('\n').filter((line) => line.includes('KUBE-'))).to.deep.equal([
        `:${chain} - [0:0]`,
        `-A PREROUTING -p tcp -m tcp --dport 9999 -j ${chain}`,
      ]);
      await node.mustExec(`iptables-${variant}`, '-t', 'nat', '-D', ...rule);
      expect((await run('cleanup')).exitCode).to.equal(0);
      expect(await node.mustExec(`iptables-${variant}-save`, '-t', 'nat')).not.to.contain('KUBE-');
    });
  }

  it('cleanup that may not read the rules does not say that none is there', async () => {
    const { exitCode, stderr } = await cli.run(['cleanup'], {
      prefix: [...node.prefix, ...nobody],
      env: node.env,
    });
    expect(exitCode).to.equal(2);
    expect(stderr).to.contain('nothing was removed').and.not.to.contain('is there');
  });

  it('apply tells what differs when somebody holds the lock all the time', async () => {
    const [before, after] = [manifest(30080), manifest(30090)];
    await run('apply', ...before, '--iptables-variant', 'legacy');
    const holder = spawn('flock', ['-o', '-x', node.env['XTABLES_LOCKFILE'] ?? '', 'sh', '-c', 'echo held; exec cat']);
    await once(holder.stdout, 'data');
    try {
      const { exitCode, stdout, stderr } = await run('apply', ...after, '-o', 'json');
      expect(exitCode).to.equal(2);
      expect(stderr).to.contain('is held by process');
      const { differs, applied, families } = JSON.parse(stdout) as {
        differs: boolean;
        applied: boolean;
        families: { services: { name: string }[] }[];
      };
      expect({ differs, applied }).to.deep.equal({ differs: true, applied: false });
      expect(families.flatMap(({ services }) => services.map(({ name }) => name))).to.deep.equal(['web']);
    } finally {
      holder.stdin.end();
      await once(holder, 'close');
    }
  });
});
