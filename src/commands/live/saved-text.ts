import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { readingReason } from '../../source/files.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { UsageError } from '../failure.ts';

/** The saved listing that `--live` or `--ruleset` names, `-` for standard input. Throws UsageError. */
export async function readSaved(path: string, { own }: CommandOptions, effects: CommandEffects): Promise<string> {
  const option = typeof own['live'] === 'string' ? '--live' : '--ruleset';
  const bytes = await bytesOf(path, effects).catch((error: unknown) => {
    throw new UsageError(`${option}: cannot read ${path}: ${readingReason(error as Error)}`);
  });
  if (!isUtf8(bytes) || bytes.includes(0)) throw new UsageError(`${option}: ${path} holds no text`);
  return new TextDecoder().decode(bytes);
}

function bytesOf(path: string, effects: CommandEffects): Promise<Uint8Array> {
  return path === '-' ? effects.readStdin() : readFile(path);
}
