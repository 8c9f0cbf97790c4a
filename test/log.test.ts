import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { buildSync } from 'esbuild';
import { createLogger, rateLimited } from '../src/log.ts';
import type { Logger, LoggerOptions } from '../src/log.ts';

const time = new Date(2026, 10, 21, 7, 58, 9, 33);

describe('log', () => {
  async function logged(options: Partial<LoggerOptions>, write: (logger: Logger) => void): Promise<string[]> {
    let text = '';
    const stream = new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    });
    write(createLogger({ format: 'text', verbosity: 0, stream, now: () => time, ...options }));
    await new Promise((resolve) => setImmediate(resolve));
    return text.split('\n').slice(0, -1);
  }

  it('prints lines as readers of kube-proxy know them', async () => {
    const lines = await logged({}, (logger) => {
      logger.info('Synced rules', { family: 'IPv4', changes: 3, ok: true, services: ['a/b', 'c/d'], none: undefined });
      logger.warn('Ignored a field', { object: 'Service default/web' });
      logger.error('Sync failed', { family: 'IPv6', error: new Error('exit 4', { cause: new Error('lock held') }) });
    });
    const pid = String(process.pid).padStart(7);
    expect(lines).to.deep.equal([
      `I1121 07:58:09.033000 ${pid} portwright] "Synced rules" family="IPv4" changes=3 ok=true services=["a/b","c/d"]`,
      `W1121 07:58:09.033000 ${pid} portwright] "Ignored a field" object="Service default/web"`,
      `E1121 07:58:09.033000 ${pid} portwright] "Sync failed" err="exit 4: lock held" family="IPv6"`,
    ]);
  });

  it('prints one JSON object a line', async () => {
    const lines = await logged({ format: 'json', verbosity: 2 }, (logger) => {
      logger.debug(2, 'Planned', { ms: 1.5 });
      logger.error('Sync failed', { error: new TypeError('no') });
    });
    expect(lines.map((line) => JSON.parse(line) as unknown)).to.deep.equal([
      { ts: time.getTime(), level: 'info', msg: 'Planned', v: 2, ms: 1.5 },
      { ts: time.getTime(), level: 'error', msg: 'Sync failed', err: 'no' },
    ]);
  });

  it('prints what the verbosity asks for, and stacks from level 4', async () => {
    const write = (logger: Logger) => {
      for (const level of [0, 1, 2, 4, 9]) logger.debug(level, `level ${level}`);
      logger.error('Failed', { error: new Error('deep') });
      expect(logger.isEnabled(2)).to.equal(true);
    };
    const quiet = await logged({ verbosity: 2 }, write);
    expect(quiet).to.have.length(4);
    expect(quiet.join()).not.to.include('stack=');
    const loud = await logged({ verbosity: 4 }, write);
    expect(loud).to.have.length(5);
    expect(loud[4]).to.match(/stack="Error: deep\\n +at /);
  });

  it('never prints a control character', async () => {
    const evil = 'a\u001b[2Jb\nc\u0000\u007f\u009bd\u2028\u202e\r';
    for (const format of ['text', 'json'] as const) {
      const lines = await logged({ format }, (logger) => {
        logger.info(evil, { name: evil, list: [{ evil }] });
      });
      expect(lines).to.have.length(1);
      // eslint-disable-next-line no-control-regex -- what must not be there
      expect(lines[0]).not.to.match(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    }
  });

  it('hides tokens', async () => {
    const jwt = `eyJhbGciOiJSUzI1NiJ9.${'a'.repeat(40)}.c2lnbmF0dXJl`;
    const lines = await logged({}, (logger) => {
      logger.info('Connecting', {
        headers: { Authorization: 'Bearer abc', accept: 'x' },
        token: 'abc',
        note: `Authorization: Bearer ${jwt}`,
        error: new Error(`refused ${jwt}`),
      });
    });
    expect(lines[0]).to.match(/accept/);
    expect(lines[0]).not.to.match(/abc|eyJ|c2ln/);
  });

  it('prints what JSON cannot hold, and long values shortened', async () => {
    const circular: Record<string, unknown> = {
      at: new Date(0),
      big: 10n,
      set: new Set([1]),
      map: new Map([['k', 'v']]),
    };
    circular.self = circular;
    const lines = await logged({}, (logger) => {
      logger.info('Odd', { circular, long: 'x'.repeat(100_000) });
    });
    expect(lines[0]).to.include('"big":"10","set":[1],"map":{"k":"v"}');
    expect(lines[0]!.length).to.be.below(6000);
  });

  it('drops lines when the reader stalls, and says how many', async () => {
    let release: (() => void) | undefined;
    let text = '';
    const stream = new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        if (release === undefined) release = done;
        else done();
      },
    });
    const logger = createLogger({ format: 'text', verbosity: 0, stream });
    for (let i = 0; i < 3000; i++) {
      logger.info('Line', { text: 'x'.repeat(1000) });
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(stream.writableLength).to.be.below(2 * 1024 * 1024);
    release!();
    await new Promise((resolve) => setTimeout(resolve, 50));
    logger.info('Back');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(text).to.match(/\d+ log lines were dropped/);
    expect(text).to.match(/"Back"\n$/);
  });

  it('does not wait for who reads the standard error', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pw-log-'));
    const file = join(directory, 'log.mjs');
    // Bundled, because a loader's own processes share the standard error and may make writing to it wait.
    buildSync({
      entryPoints: [fileURLToPath(new URL('../src/log.ts', import.meta.url))],
      outfile: file,
      bundle: true,
      format: 'esm',
      platform: 'node',
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
    const program = `
      const { createLogger } = await import(${JSON.stringify(pathToFileURL(file).href)});
      const logger = createLogger({ format: 'json', verbosity: 0, stream: process.stderr });
      for (let i = 0; i < 4000; i++) {
        logger.info('Line', { text: 'x'.repeat(1000) });
        if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      process.stdout.write('done');`;
    const args = ['--input-type=module', '-e', program];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    try {
      // Nobody reads child.stderr.
      const output = await new Promise((resolve) =>
        child.stdout.once('data', (chunk) => {
          resolve(String(chunk));
        }),
      );
      expect(output).to.equal('done');
    } finally {
      child.kill('SIGKILL');
      child.stderr.destroy();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('says the same thing about the same object once in ten seconds', async () => {
    let now = 0;
    const lines = await logged({ format: 'json' }, (logger) => {
      const limited = rateLimited(logger, () => now);
      for (now = 0; now < 25_000; now += 100) {
        limited.warn('Lock is held', { holder: 7 });
        if (now === 0) limited.warn('Lock is held', { object: 'Service a/b' });
      }
    });
    expect(lines.map((line) => (JSON.parse(line) as { suppressed?: number }).suppressed)).to.deep.equal([
      undefined,
      undefined,
      99,
      99,
    ]);
  });
});
