import { cpSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildCli } from './support/cli.ts';
import { runsOf, withGapsOf } from './support/markdown.ts';
import { withNamespace } from './support/namespace.ts';

const root = join(import.meta.dirname, '..');
const node = ['-f', 'manifests', '--hostname-override', 'node-1', '--cluster-cidr', '10.244.0.0/16'];

describe('commands of the first page that look at a node', function () {
  this.timeout(180_000);

  it('print what it shows once the rules stand and a pod was taken away', async () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const runs = runsOf(readme, 'text').filter(({ command }) => /^portwright (?:ports|diff|apply) /.test(command));
    expect(runs.map(({ command }) => command.split(' ')[1])).to.deep.equal(['ports', 'diff', 'apply']);
    const cli = buildCli();
    const manifests = join(cli.directory, 'manifests');
    cpSync(join(root, 'docs/examples/example-nodeport'), manifests, { recursive: true });
    symlinkSync(join(root, 'docs'), join(cli.directory, 'docs'));
    try {
      await withNamespace('docs', async ({ prefix, env: own }) => {
        const env = { ...own, PORTWRIGHT_RUNTIME_DIR: join(cli.directory, 'runtime') };
        const run = (words: readonly string[]) => cli.run(words, { prefix, env, cwd: cli.directory });
        const { exitCode, stderr } = await run(['apply', ...node]);
        expect(exitCode, stderr).to.equal(0);
        rmSync(join(manifests, 'pod-2.yaml'));
        for (const { command, output } of runs) {
          const answer = await run(command.split(' ').slice(1));
          const printed = `${answer.stdout}${answer.stderr}`.trimEnd().split('\n');
          expect(withGapsOf(output, printed), command).to.deep.equal(output);
        }
      });
    } finally {
      cli.remove();
    }
  });
});
