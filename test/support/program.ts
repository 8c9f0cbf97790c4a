import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const root = join(import.meta.dirname, '..', '..');
let built: string | undefined;

/** The path of the program as users run it, bundled once for this process and gone with it. */
export function builtProgram(): string {
  if (built !== undefined) return built;
  const directory = mkdtempSync(join(tmpdir(), 'pw-program-'));
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  buildSync({
    entryPoints: [join(root, 'src', 'main.ts')],
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outExtension: { '.js': '.mjs' },
    banner: {
      js: "import { createRequire as portwrightRequire } from 'node:module'; const require = portwrightRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  built = join(directory, 'main.mjs');
  return built;
}
