import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { bundling } from '../../scripts/bundle.ts';

const root = join(import.meta.dirname, '..', '..');

/** The program and the fake API server as bundles, as they are shipped: they start in a fraction of the time. */
export interface Bundle {
  readonly program: string;
  readonly fakeApi: string;
}

let made: Promise<Bundle> | undefined;

/** Bundles once for this process, to a directory that goes away with it. */
export function bundle(): Promise<Bundle> {
  made ??= make();
  return made;
}

async function make(): Promise<Bundle> {
  const outdir = mkdtempSync(join(tmpdir(), 'pw-bundle-'));
  process.once('exit', () => {
    rmSync(outdir, { recursive: true, force: true });
  });
  await build({
    ...bundling,
    entryPoints: {
      program: join(root, 'src', 'main.ts'),
      'fake-api': join(root, 'test', 'support', 'fake-api-process.ts'),
    },
    outdir,
    outExtension: { '.js': '.mjs' },
    logLevel: 'error',
  });
  return { program: join(outdir, 'program.mjs'), fakeApi: join(outdir, 'fake-api.mjs') };
}
