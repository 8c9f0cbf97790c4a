import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { watchConfigFile } from '../../src/agent/config-watch.ts';
import type { Clock } from '../../src/agent/runner.ts';
import { until } from '../support/manual-clock.ts';

describe('the watch of the configuration file', () => {
  /** What takes longer than a second is not waited for. */
  const clock: Clock = {
    now: () => performance.now(),
    after: (delayMs, callback) => {
      const timer = delayMs > 1000 ? undefined : setTimeout(callback, delayMs / 20);
      return () => {
        clearTimeout(timer);
      };
    },
  };
  let directory: string;
  let file: string;
  let changes: number;
  let watch: { stop(): void };

  const begin = (text: string) => {
    watch = watchConfigFile(file, text, { clock, onChange: () => (changes += 1) });
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pw-config-'));
    file = join(directory, 'config.conf');
    changes = 0;
    writeFileSync(file, 'one');
  });
  afterEach(() => {
    watch.stop();
    rmSync(directory, { recursive: true });
  });

  it('tells once of a change, and not of the same words or of a file that is missing for a while', async () => {
    begin('one');
    unlinkSync(file);
    await new Promise((resolve) => setTimeout(resolve, 50));
    writeFileSync(file, 'one');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(changes).to.equal(0);
    writeFileSync(file, 'two');
    await until('a change', () => changes > 0);
    writeFileSync(file, 'three');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(changes).to.equal(1);
  });

  it('tells of a change that was made before it began, since the file was read', async () => {
    writeFileSync(file, 'two');
    begin('one');
    await until('a change', () => changes > 0);
  });
});
