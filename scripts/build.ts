import { chmodSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { bundling } from './bundle.ts';
import './precompile-templates.ts';

/** Bundles `src/main.ts` to `dist/`, or to the directory that is named. */
const root = join(import.meta.dirname, '..');
const outdir = resolve(process.argv[2] ?? join(root, 'dist'));
rmSync(outdir, { recursive: true, force: true });
await build({ ...bundling, entryPoints: [join(root, 'src', 'main.ts')], outdir, logLevel: 'warning' });
chmodSync(join(outdir, 'main.js'), 0o755);
