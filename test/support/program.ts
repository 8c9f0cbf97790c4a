import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
let built: string | undefined;

/** The path of the program as it is shipped, built once for this process and gone with it. */
export function builtProgram(): string {
  if (built !== undefined) return built;
  const directory = mkdtempSync(join(tmpdir(), 'pw-program-'));
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  execFileSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts', directory], { cwd: root });
  // Other users run it in tests too.
  chmodSync(directory, 0o755);
  built = join(directory, 'main.js');
  return built;
}
