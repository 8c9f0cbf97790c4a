import { chmodSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import './precompile-templates.ts';

/**
 * Bundles `src/main.ts` to `dist/`, or to the directory that is named. It is split so that a command loads only what
 * it needs: `--version` and `render` start in a fraction of the time that loading single modules takes, and the
 * bundle needs no `node_modules`.
 */
const root = join(import.meta.dirname, '..');
const outdir = resolve(process.argv[2] ?? join(root, 'dist'));
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: [join(root, 'src', 'main.ts')],
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // The agent keeps its source in memory for as long as it runs.
  minify: true,
  keepNames: true,
  // CommonJS dependencies in the bundle ask for Node's own modules with `require`.
  banner: {
    js: "import { createRequire as portwrightRequire } from 'node:module'; const require = portwrightRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
chmodSync(join(outdir, 'main.js'), 0o755);
