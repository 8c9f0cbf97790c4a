import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetrics } from '../../../src/agent/metrics.ts';
import { systemClock } from '../../../src/agent/runner.ts';
import { manifestSource } from '../../../src/commands/run/source.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { eventually } from '../../support/agent-lab.ts';

describe('the manifests of an agent', () => {
  it('are told of in a few lines, however much is wrong with them', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pw-source-'));
    const documents = (count: number, spec: string) =>
      Array.from(
        { length: count },
        (_, number) => `apiVersion: v1\nkind: Service\nmetadata: {name: web-${number}}\nspec: ${spec}\n`,
      ).join('---\n');
    writeFileSync(join(directory, 'bad.yaml'), documents(200, '{ports: [{port: 0}]}'));
    writeFileSync(join(directory, 'good.yaml'), documents(1, '{ports: [{port: 80}]}').replace('web-0', 'good'));
    const lines: string[] = [];
    const write = (message: string, fields: object = {}) => {
      lines.push(`${message} ${JSON.stringify(fields)}`);
    };
    const { config } = await parseConfig({}, () => '');
    const options = { filenames: [directory], recursive: false, allowEmpty: false, keepGoing: false, dryRun: false };
    const { source } = manifestSource({ ...options, output: '', flags: {}, own: {}, words: [] }, config, {
      effects: {
        ...{ print: () => undefined, say: () => undefined, hasColour: false, env: {} },
        ...{ signal: new AbortController().signal, readStdin: () => Promise.resolve(new Uint8Array()) },
      },
      clock: systemClock,
      logger: { info: write, warn: write, error: write, debug: () => undefined, isEnabled: () => false },
      metrics: await createMetrics({
        ...{ mode: 'iptables', families: 1, version: '0.0.0', now: () => 0 },
        ...{ readiness: () => new Map(), features: new Map() },
      }),
    });
    try {
      source.start();
      await eventually('a state', () => Promise.resolve(source.snapshot() !== undefined));
      expect(lines).to.have.length(11);
      expect(lines[0]).to.match(/^manifest not taken; what it last said stays .*web-0/);
      expect(lines[10]).to.match(/^more is not taken; .*"count":190,.*bad.yaml"/);
    } finally {
      await source.stop();
      rmSync(directory, { recursive: true });
    }
  });
});
