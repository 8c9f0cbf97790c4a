import { expect } from 'chai';
import { execFileSync, spawn } from 'node:child_process';
import { isRunning } from './lab.ts';
import { createNamespace, withNamespace } from '../support/namespace.ts';

const names = () => execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });

describe('a namespace of a test', function () {
  this.timeout(60_000);

  it('is apart from others, has loopback up and a lock file of its own', async () => {
    await withNamespace('one', async (one) => {
      await withNamespace('two', async (two) => {
        expect(one.name).to.not.equal(two.name);
        expect(one.env).to.not.deep.equal(two.env);
        expect(await one.mustExec('ip', '-br', 'link')).to.contain('LOOPBACK,UP');
      });
    });
  });

  it('goes away with what runs in it, also when the test fails', async () => {
    let name = '';
    let pid = 0;
    try {
      await withNamespace('fails', async (namespace) => {
        name = namespace.name;
        pid = Number(await namespace.shell('sleep 600 >/dev/null 2>&1 & echo $!'));
        throw new Error('on purpose');
      });
    } catch (error) {
      expect((error as Error).message).to.equal('on purpose');
    }
    expect(names()).to.not.contain(name);
    expect(await isRunning(pid)).to.equal(false);
  });

  it('goes away when the process of the tests is ended', async () => {
    const program = `import { createNamespace } from '${import.meta.dirname}/../support/namespace.ts';
      createNamespace('ended').then((namespace) => { console.log(namespace.name); setInterval(() => {}, 1000); });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program]);
    const name = await new Promise<string>((resolve) => {
      child.stdout.once('data', (text: Buffer) => {
        resolve(text.toString().trim());
      });
    });
    expect(names()).to.contain(name);
    const ended = new Promise((resolve) =>
      child.once('exit', (_code, signal) => {
        resolve(signal);
      }),
    );
    child.kill('SIGTERM');
    expect(await ended).to.equal('SIGTERM');
    expect(names()).to.not.contain(name);
  });

  it('reports what a command did, and throws only where it must succeed', async () => {
    const namespace = await createNamespace('output');
    try {
      expect(await namespace.exec('sh', '-c', 'echo a; echo b >&2; exit 3')).to.deep.equal({
        exitCode: 3,
        stdout: 'a\n',
        stderr: 'b\n',
      });
      let message = '';
      await namespace.shell('echo b >&2; exit 3').catch((error: unknown) => {
        message = (error as Error).message;
      });
      expect(message).to.contain('exit code 3: b');
    } finally {
      await namespace.remove();
      await namespace.remove();
    }
  });
});
