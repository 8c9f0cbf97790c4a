import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenCases, goldenDirectory, goldenInputs, goldenOutputs } from '../test/support/golden.ts';

/** Writes every golden file anew. Read what `git diff golden` shows: it is what users' kernels will get. */
for (const name of goldenCases()) {
  const outputs = await goldenOutputs(name);
  const kept = new Set([...goldenInputs(name), ...outputs.keys()]);
  for (const file of readdirSync(join(goldenDirectory, name))) {
    if (!kept.has(file)) rmSync(join(goldenDirectory, name, file));
  }
  for (const [file, text] of outputs) writeFileSync(join(goldenDirectory, name, file), text);
}
