import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildCli } from './support/cli.ts';
import type { Cli } from './support/cli.ts';

describe('the program whose output cannot be written', function () {
  this.timeout(60_000);
  let cli: Cli;
  let directory: string;

  before(() => {
    cli = buildCli();
    directory = join(cli.directory, 'manifests');
    mkdirSync(directory);
    writeFileSync(
      join(directory, 'service.yaml'),
      'apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ port: 80 }] }\n',
    );
    writeFileSync(join(directory, 'empty.txt'), '');
  });
  after(() => {
    cli.remove();
  });

  for (const args of [['render'], ['diff', '--live', 'empty.txt']]) {
    it(`says so and ends with 2: ${args.join(' ')}`, async () => {
      const words = [...args, '-f', 'service.yaml'].join(' ');
      const { exitCode, stderr } = await cli.run([], {
        prefix: ['sh', '-c', `exec "$@" ${words} > /dev/full`, 'sh'],
        cwd: directory,
      });
      expect(exitCode).to.equal(2);
      expect(stderr).to.contain('error: standard output: ENOSPC').and.not.to.contain('    at ');
    });
  }
});

describe('flags that make kube-proxy do something else', function () {
  this.timeout(60_000);
  it('are for run; other commands say that they ignore them', async () => {
    const cli = buildCli();
    try {
      const stdin = 'apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ port: 80 }] }\n';
      const { exitCode, stderr } = await cli.run(['render', '-f', '-', '--cleanup', '--write-config-to', 'x'], {
        stdin,
      });
      expect({ exitCode, stderr }).to.deep.equal({
        exitCode: 0,
        stderr: 'warning: --write-config-to, --cleanup: ignored, it is for portwright run\n',
      });
    } finally {
      cli.remove();
    }
  });
});

describe('a configuration that is to be written where nothing can be', function () {
  this.timeout(60_000);
  it('says which flag and which file', async () => {
    const cli = buildCli();
    try {
      const { exitCode, stderr } = await cli.run(['run', '--write-config-to', '/nowhere/config.yaml']);
      expect({ exitCode, stderr }).to.deep.equal({
        exitCode: 2,
        stderr: 'error: --write-config-to: cannot write /nowhere/config.yaml: no such file or directory\n',
      });
    } finally {
      cli.remove();
    }
  });
});

describe('a command that waits for its input', function () {
  this.timeout(60_000);
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`ends at the first ${signal}`, async () => {
      const cli = buildCli();
      const [node = '', ...words] = cli.words;
      const child = spawn(node, [...words, 'render', '-f', '-'], { stdio: 'pipe' });
      try {
        const ended = once(child, 'close');
        // It does not tell when it waits; earlier, the signal ends it without a code of ours.
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        child.kill(signal);
        expect((await ended)[0]).to.equal(code);
      } finally {
        child.kill('SIGKILL');
        cli.remove();
      }
    });
  }
});
