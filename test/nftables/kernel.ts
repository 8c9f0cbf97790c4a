import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseNftables } from '../../src/nftables/parse.ts';
import { tableOf } from '../../src/nftables/names.ts';
import { scriptText } from '../../src/ruleset/plan.ts';
import type { Plan } from '../../src/ruleset/plan.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import type { IPFamily } from '../../src/source/objects.ts';
import { createNamespace } from '../support/namespace.ts';
import type { Namespace } from '../support/namespace.ts';

/** The nftables of a namespace of a test. */
export interface TestKernel {
  readonly namespace: Namespace;
  load(script: string): Promise<void>;
  /** All scripts of a plan, those that clean up too. */
  apply(plan: Plan): Promise<void>;
  text(family: IPFamily): Promise<string>;
  list(family: IPFamily): Promise<Ruleset>;
  flush(): Promise<void>;
  remove(): Promise<void>;
}

export async function createTestKernel(): Promise<TestKernel> {
  const namespace = await createNamespace('nft');
  const directory = mkdtempSync(join(tmpdir(), 'pw-nftables-'));
  const load = async (script: string) => {
    const file = join(directory, 'script.nft');
    writeFileSync(file, script);
    await namespace.mustExec('nft', '-f', file);
  };
  const text = async (family: IPFamily, ...terms: readonly string[]) => {
    const result = await namespace.exec('nft', '-s', ...terms, 'list', 'table', ...tableOf(family).split(' '));
    return result.exitCode === 0 ? result.stdout : '';
  };
  return {
    namespace,
    load,
    apply: async ({ scripts }) => {
      for (const script of scripts) await load(scriptText(script));
    },
    text,
    list: async (family) => parseNftables(await text(family, '-p')),
    flush: () => load('flush ruleset\n'),
    remove: async () => {
      rmSync(directory, { recursive: true, force: true });
      await namespace.remove();
    },
  };
}
