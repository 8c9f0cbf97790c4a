import { expect } from 'chai';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { CommandOptions } from '../../../src/commands/command.ts';
import { ports } from '../../../src/commands/ports/ports.ts';
import type { PortTable } from '../../../src/commands/ports/table.ts';
import { rejection } from '../../kernel/lab.ts';
import { recordedEffects } from '../../support/recorded-effects.ts';

function manifest(name: string, nodePort: number, rest = ''): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  type: NodePort
  selector: { app: ${name} }
  ports: [{ port: 80, targetPort: 8080, nodePort: ${nodePort} }]
${rest}---
`;
}

const defaults: CommandOptions = {
  filenames: ['-'],
  recursive: false,
  allowEmpty: false,
  keepGoing: false,
  dryRun: false,
  output: 'json',
  flags: { hostnameOverride: 'node-1' },
  own: {},
  words: [],
};

async function run(manifests: string, overrides: Partial<CommandOptions> = {}) {
  const { effects, printed, said } = recordedEffects(manifests);
  const exitCode = await ports({ ...defaults, ...overrides }, effects);
  const text = printed.join('');
  return { exitCode, text, said, table: () => JSON.parse(text) as PortTable };
}

describe('portwright ports', () => {
  it('lists the node ports of manifests', async () => {
    const { exitCode, table } = await run(manifest('web', 30080));
    expect(exitCode).to.equal(0);
    expect(table().nodePorts.map(({ nodePort, name, problems }) => [nodePort, name, problems[0]?.code])).to.deep.equal([
      [30080, 'web', 'no-endpoints'],
    ]);
  });

  it('lists a conflict instead of refusing the manifests, and exits 1', async () => {
    const { exitCode, table } = await run(manifest('first', 30080) + manifest('second', 30080));
    expect(exitCode).to.equal(1);
    const [conflict, ...rest] = table().conflicts;
    expect(rest).to.deep.equal([]);
    expect(conflict).to.deep.include({
      nodePort: 30080,
      protocol: 'TCP',
      holder: { namespace: 'default', name: 'first' },
    });
    expect(conflict?.refused.map(({ name }) => name)).to.deep.equal(['second']);
    expect(conflict?.refused[0]?.message).to.equal(
      'Service "second" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated',
    );
  });

  it('refuses what is wrong otherwise', async () => {
    const wrong = manifest('web', 99999);
    expect(await rejection(run(wrong))).to.have.property('name', 'InputError');
    const { exitCode, table } = await run(wrong + manifest('other', 30081), { keepGoing: true });
    expect(exitCode).to.equal(2);
    expect(table().nodePorts.map(({ name }) => name)).to.deep.equal(['other']);
  });

  it('names a file that cannot be read, instead of missing Services in it', async () => {
    const error = await rejection(run('', { filenames: ['no-such-file.yaml'] }));
    expect(error).to.have.property('name', 'InputError');
    expect(error).to.have.nested.property('problems[0].message', 'no such file or directory');
  });

  it('finds the program that listens on a node port', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const flags = { ...defaults.flags, serviceNodePortRange: '1024-65535' };
      const { exitCode, table } = await run(manifest('web', port), { flags });
      expect(exitCode).to.equal(1);
      const found = table().nodePorts[0]?.problems.find(({ code }) => code === 'host-listener');
      expect(found?.message).to.contain(`(pid ${process.pid})`);
    } finally {
      server.close();
    }
  });

  it('suggests free ports, and says when there are not as many', async () => {
    expect((await run(manifest('web', 30000), { own: { suggest: '3' } })).table().suggested).to.deep.equal([
      30001, 30002, 30003,
    ]);
    const { said } = await run(manifest('web', 30000), { own: { suggest: '99' } });
    expect(said.join('\n')).to.contain('only');
    expect(await rejection(run(manifest('web', 30000), { own: { suggest: 'many' } }))).to.have.property(
      'name',
      'UsageError',
    );
  });

  for (const output of ['text', 'wide', 'yaml']) {
    it(`prints ${output}`, async () => {
      expect((await run(manifest('web', 30080), { output })).text)
        .to.contain('30080')
        .and.to.contain('web');
    });
  }
});
